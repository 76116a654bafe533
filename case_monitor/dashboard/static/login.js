// Whoever follows a link from another site comes without the cookie (SameSite=Strict), and sees the login for nothing.
// What this page asks for itself has the cookie: whoever has a session goes on.
const form = document.querySelector("[data-session-unseen]");
if (form) {
  const answer = await fetch(form.dataset.sessionUnseen, { headers: { accept: "application/json" } });
  if (answer.ok && (await answer.json()).logged_in) location.replace(form.dataset.next);
}
