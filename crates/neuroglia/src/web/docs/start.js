// Shows the document of this server. A file of its own, so that the page needs no inline script.
"use strict";

SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  // Without this, links could make the page show a document of somebody else.
  queryConfigEnabled: false,
  // No badge from a validator on another server.
  validatorUrl: null,
});
