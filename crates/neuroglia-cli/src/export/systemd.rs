//! systemd: units that run the current release of a depot, as a user that may do nothing else.
//!
//! A unit is a template; the instance is the port on which the process answers, `shop-web@8000`, or tells its health,
//! `shop-worker@8101`. A new release is `neuroglia release` and `systemctl restart shop.target`.

use crate::export::command::File;
use crate::export::deployment::Deployment;
use crate::procfile::Process;

/// The units of an application.
pub(super) fn export(deployment: &Deployment) -> Vec<File> {
    let application = &deployment.application;
    let mut files = vec![target(deployment)];
    if let Some(release) = &deployment.release {
        let text = unit(deployment, release, "release", "Type=oneshot\nRemainAfterExit=yes\n", "");
        files.push(File { name: format!("{application}-release.service"), text });
    }
    for kind in &deployment.kinds {
        let process = &kind.process;
        // Without the second line, two on one machine would want the same port for operators.
        let ports = match (process.answers_http(), deployment.admin_port) {
            (true, Some(_)) => "Environment=PORT=%i\nEnvironment=ADMIN_PORT=0\n",
            (true, None) => "Environment=PORT=%i\n",
            (false, _) => "Environment=ADMIN_PORT=%i\n",
        };
        let kind = format!(
            "Type=exec\nRestart=always\nRestartSec=1\n# Starting again mends neither a command line nor the settings.\n\
             RestartPreventExitStatus=64 78\n{ports}"
        );
        let text = unit(
            deployment,
            process,
            &format!("{} on %i", process.name),
            &kind,
            "\n[Install]\nWantedBy=%p.target\n",
        );
        let text = text.replace("%p.target", &format!("{application}.target"));
        files.push(File { name: format!("{application}-{}@.service", process.name), text });
    }
    files
}

fn target(deployment: &Deployment) -> File {
    let application = &deployment.application;
    let text = format!(
        "# {}\n[Unit]\nDescription={application}, all processes\n\n[Install]\nWantedBy=multi-user.target\n",
        deployment.origin("systemd")
    );
    File { name: format!("{application}.target"), text }
}

fn unit(deployment: &Deployment, process: &Process, what: &str, kind: &str, install: &str) -> String {
    let Deployment { application, grace, .. } = deployment;
    let (name, grace) = (&process.name, grace.as_secs());
    let origin = deployment.origin("systemd");
    let after = match &deployment.release {
        Some(release) if release.name != process.name => {
            format!("Requires={application}-release.service\nAfter={application}-release.service\n")
        }
        _ => String::new(),
    };
    let secrets = deployment.secrets_folder.as_ref().map_or_else(String::new, |folder| {
        format!("BindReadOnlyPaths=/etc/{application}/secrets:{folder}\n")
    });
    format!(
        "# {origin}\n\
         [Unit]\n\
         Description={application} {what}\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         {after}\
         PartOf={application}.target\n\
         \n\
         [Service]\n\
         {kind}\
         Environment=TERMINATION_GRACE={grace}s\n\
         ExecStart=/usr/local/bin/neuroglia run --depot /srv/{application} {name}\n\
         # One SIGTERM to the process, which drains; what is left after that is killed.\n\
         KillMode=mixed\n\
         TimeoutStopSec={grace}\n\
         User={application}\n\
         StateDirectory={application}\n\
         WorkingDirectory=/var/lib/{application}\n\
         {secrets}\
         MemoryMax=256M\n\
         UMask=0077\n\
         CapabilityBoundingSet=\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         NoNewPrivileges=yes\n\
         PrivateDevices=yes\n\
         PrivateTmp=yes\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectHome=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectProc=invisible\n\
         ProtectSystem=strict\n\
         RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         {install}"
    )
}
