(function () {
  var form = document.getElementById("ceremony");
  if (!form) return;
  var given = form.dataset;
  function bytes(text) {
    return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), function (c) { return c.charCodeAt(0); });
  }
  function set(name, value) {
    var text = btoa(String.fromCharCode.apply(null, new Uint8Array(value)));
    form.elements[name].value = text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }
  function create() {
    return navigator.credentials.create({ publicKey: {
      challenge: bytes(given.challenge), rp: { id: given.party, name: "Vesta" },
      user: { id: bytes(given.handle), name: given.name, displayName: given.shown },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
      attestation: "none", timeout: 300000,
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" }
    } }).then(function (made) {
      set("client", made.response.clientDataJSON);
      set("attestation", made.response.attestationObject);
    });
  }
  function get() {
    return navigator.credentials.get({ publicKey: {
      challenge: bytes(given.challenge), rpId: given.party, userVerification: "required", timeout: 300000
    } }).then(function (found) {
      set("id", found.rawId);
      set("client", found.response.clientDataJSON);
      set("data", found.response.authenticatorData);
      set("signature", found.response.signature);
      set("handle", found.response.userHandle);
    });
  }
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    document.getElementById("failed").hidden = true;
    (given.kind === "create" ? create() : get()).then(function () { form.submit(); }, function () {
      document.getElementById("failed").hidden = false;
    });
  });
})();
