// Signing in with name and password, in place of the page.
import * as api from "./api.js";
import { h } from "./dom.js";
import { strings } from "./strings.js";

/** A form; done() is called once the server knows who is here. */
export function signInForm(done) {
  const name = h("input", { type: "text", name: "name", required: true, maxlength: "64", autocomplete: "username" });
  const password = h("input", {
    type: "password",
    name: "password",
    required: true,
    maxlength: "1024",
    autocomplete: "current-password",
  });
  const problem = h("p", { class: "notice error", role: "alert", hidden: true });
  const button = h("button", { class: "primary" }, strings.signIn);
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      await api.post("/sign-in", { name: name.value, password: password.value });
    } catch (error) {
      problem.textContent = error.message || strings.failed;
      problem.hidden = false;
      password.value = "";
      password.focus();
      return;
    } finally {
      button.disabled = false;
    }
    done();
  };
  return h(
    "form",
    { class: "sign-in", onsubmit },
    h("label", { class: "field" }, strings.userName, name),
    h("label", { class: "field" }, strings.password, password),
    problem,
    button,
  );
}
