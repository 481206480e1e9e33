//! The state machine: every step in every status, and any sequence of steps.

use neuroglia::domain::Aggregate;
use neuroglia::error::Error;
use pizzeria_domain::order::{
    Order, OrderCancelled, OrderCookingStarted, OrderDelivered, OrderError, OrderStatus, PaymentDraft,
    PaymentMethod, PaymentStatus, Step,
};
use pizzeria_domain::stamp::Stamp;
use proptest::prelude::*;

use crate::fixture::{
    at, card_order_in, cash_draft, document, event_names, line, order_in, paying, placed, stamp, user,
};

fn take(order: &mut Order, step: Step, stamp: Stamp) -> Result<(), OrderError> {
    match step {
        Step::Confirm => order.confirm(stamp),
        Step::Cook => order.start_cooking(stamp),
        Step::Ready => order.mark_ready(stamp),
        Step::AssignDriver => order.assign_driver(user("driver-1"), stamp),
        Step::Deliver => order.start_delivery(stamp),
        Step::Complete => order.complete(stamp),
        Step::Cancel => order.cancel("changed my mind", stamp),
    }
}

/// What each step raises, and the statuses from which it is allowed, written out once more.
fn allowed(step: Step) -> (&'static str, &'static [OrderStatus]) {
    use OrderStatus::{Confirmed, Cooking, Delivering, Pending, Ready};
    match step {
        Step::Confirm => ("order.confirmed", &[Pending]),
        Step::Cook => ("order.cooking.started", &[Confirmed]),
        Step::Ready => ("order.ready", &[Cooking]),
        Step::AssignDriver => ("order.driver.assigned", &[Confirmed, Cooking, Ready]),
        Step::Deliver => ("order.delivery.started", &[Ready]),
        Step::Complete => ("order.delivered", &[Delivering]),
        Step::Cancel => ("order.cancelled", &[Pending, Confirmed]),
    }
}

#[test]
fn every_step_in_every_status_is_taken_or_refused_without_a_trace() {
    for status in OrderStatus::ALL {
        for step in Step::ALL {
            let mut order = order_in(status);
            let before = document(&order);
            let result = take(&mut order, step, stamp(100));
            let (event, needed) = allowed(step);
            if needed.contains(&status) {
                assert_eq!(result, Ok(()), "{step:?} from {status}");
                assert_eq!(event_names(&mut order), [event], "{step:?} from {status}");
                assert_eq!(order.status(), step.leads_to().unwrap_or(status));
            } else {
                let error = Error::from(result.expect_err("a refused step"));
                assert_eq!((error.kind().status(), error.code()), (409, "order.wrong_state"));
                assert!(
                    error.detail().starts_with(&format!("the order is {status}; it must be ")),
                    "{error}"
                );
                for needed in needed {
                    assert!(error.detail().contains(needed.as_str()), "{error}");
                }
                assert_eq!(document(&order), before, "{step:?} from {status}");
                assert!(order.take_events().is_empty(), "{step:?} from {status}");
            }
        }
    }
}

#[test]
fn a_refusal_reads_like_a_sentence() {
    let mut order = order_in(OrderStatus::Pending);
    let refused = order.start_cooking(stamp(1)).expect_err("pending");
    assert_eq!(refused.to_string(), "the order is pending; it must be confirmed to be cooked");
    let mut order = order_in(OrderStatus::Cooking);
    let refused = order.cancel("late", stamp(9)).expect_err("cooking");
    assert_eq!(refused.to_string(), "the order is cooking; it must be pending or confirmed to be cancelled");
}

#[test]
fn every_step_leaves_its_time_and_user() {
    let order = order_in(OrderStatus::Delivered);
    let statuses: Vec<OrderStatus> = order.history().iter().map(|entry| entry.status()).collect();
    assert_eq!(statuses, OrderStatus::ALL[..6]);
    for (entry, second) in order.history().iter().zip(0..) {
        assert_eq!(entry.at(), at(second));
        assert_eq!(entry.by().is_none(), second == 0);
    }
    assert_eq!((order.confirmed_at(), order.ready_at()), (Some(at(1)), Some(at(3))));
    assert_eq!(order.reached_at(OrderStatus::Delivering), Some(at(4)));
    assert_eq!(order.reached_at(OrderStatus::Cancelled), None);
}

#[test]
fn it_is_ready_fifteen_minutes_after_cooking_starts_and_two_later_for_each_further_pizza() {
    for (quantities, minutes) in [(vec![1], 15), (vec![2], 17), (vec![3, 2], 23)] {
        let lines = quantities.iter().map(|quantity| line("margherita", "small", &[], *quantity)).collect();
        let mut order = placed(cash_draft(lines));
        order.confirm(stamp(1)).expect("pending");
        assert_eq!(order.estimated_ready_at(), None);
        order.take_events();
        order.start_cooking(stamp(60)).expect("confirmed");
        assert_eq!(order.estimated_ready_at(), Some(at(60 + minutes * 60)), "{quantities:?}");
        let events = order.take_events();
        let started = events[0].downcast_ref::<OrderCookingStarted>().expect("order.cooking.started");
        assert_eq!(Some(started.estimated_ready_at), order.estimated_ready_at());
    }
}

#[test]
fn a_cancellation_needs_a_reason() {
    for (reason, code) in [("  ", "required"), (&*"x".repeat(501), "max_length"), ("a\u{0}", "characters")] {
        let mut order = order_in(OrderStatus::Confirmed);
        let before = document(&order);
        let error = Error::from(order.cancel(reason, stamp(9)).expect_err("no good reason"));
        assert_eq!(error.kind().status(), 422);
        assert_eq!(
            (&*error.violation_list()[0].pointer, &*error.violation_list()[0].code),
            ("/reason", code)
        );
        assert_eq!(document(&order), before);
    }
    let mut order = order_in(OrderStatus::Confirmed);
    order.cancel(" too late ", Stamp::anonymous(at(9))).expect("confirmed");
    assert_eq!(order.cancel_reason(), Some("too late"));
    let events = order.take_events();
    let cancelled = events[0].downcast_ref::<OrderCancelled>().expect("order.cancelled");
    assert_eq!((&*cancelled.reason, &cancelled.by), ("too late", &None));
}

#[test]
fn a_driver_takes_only_what_no_other_driver_has() {
    let mut order = order_in(OrderStatus::Ready);
    order.claim(user("driver-1"), at(9)).expect("no driver yet");
    order.claim(user("driver-1"), at(10)).expect("the same driver");
    assert_eq!(event_names(&mut order), ["order.driver.assigned"]);

    let before = document(&order);
    let refused = order.claim(user("driver-2"), at(11)).expect_err("another driver");
    assert_eq!(Error::from(refused).code(), "order.driver_taken");
    assert_eq!(document(&order), before);

    order.assign_driver(user("driver-2"), stamp(12)).expect("a manager may");
    assert_eq!(order.driver(), Some(&user("driver-2")));
    assert!(order_in(OrderStatus::Delivering).claim(user("driver-1"), at(9)).is_err());
}

#[test]
fn cash_is_captured_at_the_door_and_no_gateway_speaks_of_it() {
    let mut order = order_in(OrderStatus::Delivering);
    assert_eq!(order.payment().status(), PaymentStatus::Due);
    let refused = order.record_payment(PaymentStatus::Captured, None, stamp(9)).expect_err("cash");
    assert_eq!(Error::from(refused).code(), "order.wrong_payment_state");
    order.complete(stamp(9)).expect("delivering");
    assert_eq!(order.payment().status(), PaymentStatus::Captured);
    let events = order.take_events();
    let delivered = events[0].downcast_ref::<OrderDelivered>().expect("order.delivered");
    assert_eq!(delivered.payment_status, PaymentStatus::Captured);
}

#[test]
fn a_card_order_is_confirmed_only_when_it_is_paid() {
    for (payment, confirmed) in [
        (PaymentStatus::Authorizing, false),
        (PaymentStatus::Failed, false),
        (PaymentStatus::Refunded, false),
        (PaymentStatus::Authorized, true),
        (PaymentStatus::Captured, true),
    ] {
        let mut order = card_order_in(payment);
        assert_eq!(order.payment().reference(), Some("pay-1"));
        let before = document(&order);
        let result = order.confirm(Stamp::anonymous(at(9)));
        assert_eq!(result.is_ok(), confirmed, "{payment}");
        if let Err(refused) = result {
            assert_eq!(Error::from(refused).code(), "order.unpaid");
            assert_eq!(document(&order), before);
        }
    }
}

#[test]
fn nothing_is_cooked_or_taken_out_whose_payment_is_no_longer_assured() {
    for payment in [PaymentStatus::Failed, PaymentStatus::Refunded] {
        for (taken, refused, purpose) in [(1, Step::Cook, "be cooked"), (3, Step::Deliver, "be taken out")] {
            let mut order = card_order_in(PaymentStatus::Authorized);
            for step in [Step::Confirm, Step::Cook, Step::Ready].into_iter().take(taken) {
                take(&mut order, step, stamp(2)).expect("the next step of a paid order");
            }
            order.record_payment(payment, None, stamp(3)).expect("the gateway takes it back");
            order.take_events();
            let before = document(&order);
            let error = Error::from(take(&mut order, refused, stamp(4)).expect_err("it is not paid"));
            assert_eq!((error.kind().status(), error.code()), (409, "order.unpaid"));
            let sentence =
                format!("the order's payment is {payment}; it must be authorized or captured to {purpose}");
            assert_eq!(error.detail(), sentence);
            assert_eq!(document(&order), before);
            assert!(order.take_events().is_empty());
            // Else it would stand there for ever.
            order.cancel("nobody pays for it", stamp(5)).expect("it may be given up");
            assert_eq!(order.status(), OrderStatus::Cancelled);
        }
    }
    let mut cooking = order_in(OrderStatus::Cooking);
    assert!(cooking.cancel("too late", stamp(9)).is_err(), "it is paid at the door");
}

#[test]
fn what_is_at_the_door_is_handed_over_and_brings_in_nothing_when_it_is_not_paid() {
    for (payment, brings_in) in
        [(PaymentStatus::Captured, true), (PaymentStatus::Failed, false), (PaymentStatus::Refunded, false)]
    {
        let mut order = card_order_in(PaymentStatus::Authorized);
        for step in [Step::Confirm, Step::Cook, Step::Ready, Step::Deliver] {
            take(&mut order, step, stamp(2)).expect("the next step of a paid order");
        }
        assert!(!order.brought_in(), "it has not arrived");
        order.record_payment(payment, None, stamp(3)).expect("authorized");
        order.complete(stamp(4)).expect("delivering");
        assert_eq!((order.payment().status(), order.brought_in()), (payment, brings_in));
    }
    let mut order = order_in(OrderStatus::Delivering);
    order.complete(stamp(9)).expect("delivering");
    assert!(order.brought_in(), "cash was taken");
}

#[test]
fn an_answer_of_the_gateway_that_comes_twice_or_late_changes_nothing() {
    let mut order = card_order_in(PaymentStatus::Captured);
    let before = document(&order);
    order.record_payment(PaymentStatus::Captured, None, stamp(9)).expect("the same again");
    assert!(order.record_payment(PaymentStatus::Authorized, None, stamp(9)).is_err());
    assert_eq!(document(&order), before);
    assert!(order.take_events().is_empty());

    order.record_payment(PaymentStatus::Refunded, None, stamp(10)).expect("captured");
    assert_eq!(event_names(&mut order), ["order.payment.changed"]);
    assert_eq!(order.payment().reference(), Some("pay-1"));
}

#[test]
fn what_was_declined_is_paid_otherwise_and_nothing_else_is() {
    let judged = |draft: PaymentDraft| draft.judged(&PaymentMethod::ALL).expect("a right draft");
    for (draft, status) in [
        (paying("debit_card", Some("tok_mastercard")), PaymentStatus::Authorizing),
        (paying("cash", None), PaymentStatus::Due),
    ] {
        let mut order = card_order_in(PaymentStatus::Failed);
        order.pay_otherwise(judged(draft.clone()), stamp(9)).expect("declined");
        assert_eq!(event_names(&mut order), ["order.payment.changed"]);
        let payment = order.payment();
        assert_eq!((payment.method().as_str(), payment.status()), (&*draft.payment_method, status));
        assert_eq!(
            (payment.attempt(), payment.reference()),
            (2, None),
            "the gateway knows nothing of it yet"
        );
        assert_eq!(order.status(), OrderStatus::Pending);
        let kept = document(&order);
        assert_eq!(serde_json::from_value::<Order>(kept).expect("an order"), order);
        let refused = order.pay_otherwise(judged(draft), stamp(10)).expect_err("it is not declined");
        let sentence = format!(
            "the order is pending and its payment {status}; it must be pending and its payment failed to be paid otherwise"
        );
        assert_eq!((refused.code(), refused.to_string()), ("order.wrong_payment_state", sentence));
        // Neither is the time in which it is to be paid any longer.
        let expires = order.expire(at(Order::EXPIRES_AFTER.as_secs().cast_signed())).expect("pending");
        assert_eq!(expires, status == PaymentStatus::Authorizing);
    }
    let mut given_up = card_order_in(PaymentStatus::Failed);
    given_up.cancel("no card", stamp(2)).expect("pending");
    let mut confirmed = card_order_in(PaymentStatus::Authorized);
    confirmed.confirm(stamp(2)).expect("paid");
    confirmed.record_payment(PaymentStatus::Failed, None, stamp(3)).expect("the gateway takes it back");
    for mut order in [given_up, confirmed, card_order_in(PaymentStatus::Refunded)] {
        order.take_events();
        let before = document(&order);
        let refused = order.pay_otherwise(judged(paying("cash", None)), stamp(9)).expect_err("too late");
        assert_eq!(Error::from(refused).kind().status(), 409);
        assert_eq!(document(&order), before);
        assert!(order.take_events().is_empty());
    }
}

proptest! {
    #[test]
    fn any_sequence_of_steps_keeps_the_invariants(
        steps in prop::collection::vec((prop::sample::select(&Step::ALL[..]), -100_i64..100), 0..40),
    ) {
        let mut order = placed(cash_draft(vec![line("pepperoni", "large", &["ham"], 1)]));
        order.take_events();
        for (step, second) in steps {
            let before = document(&order);
            let from = order.status();
            match take(&mut order, step, stamp(second)) {
                Ok(()) => {
                    prop_assert!(allowed(step).1.contains(&from));
                    prop_assert_eq!(order.status(), step.leads_to().unwrap_or(from));
                }
                Err(refused) => {
                    prop_assert_eq!(refused, OrderError::WrongState { step, actual: from });
                    prop_assert!(!allowed(step).1.contains(&from));
                    prop_assert_eq!(&document(&order), &before);
                    prop_assert!(order.take_events().is_empty());
                }
            }
            order.take_events();

            let history = order.history();
            prop_assert!(history.is_sorted_by_key(|entry| entry.at()));
            prop_assert_eq!(history.last().map(|entry| entry.status()), Some(order.status()));
            prop_assert_eq!(order.confirmed_at(), order.reached_at(OrderStatus::Confirmed));
            prop_assert_eq!(order.ready_at(), order.reached_at(OrderStatus::Ready));
            prop_assert_eq!(order.cancel_reason().is_some(), order.status() == OrderStatus::Cancelled);
            prop_assert_eq!(
                order.payment().status() == PaymentStatus::Captured,
                order.status() == OrderStatus::Delivered
            );
            let kept = document(&order);
            prop_assert_eq!(serde_json::from_value::<Order>(kept).expect("an order"), order.clone());
        }
    }
}
