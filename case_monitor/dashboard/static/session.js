// Who is logged in. Asked for apart from the page, because the server keeps pages for everybody alike.
export async function showSession(place) {
  if (!place) return;
  const root = place.dataset.session;
  const answer = await fetch(`${root}/session.json`, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const session = await answer.json();
  if (session.user) {
    const name = document.createElement("span");
    name.textContent = session.user;
    place.prepend(name);
  }
  if (!session.logged_in) return;
  const form = document.createElement("form");
  form.method = "post";
  form.action = `${root}/logout`;
  const key = document.createElement("input");
  Object.assign(key, { type: "hidden", name: "form_key", value: session.form_key });
  const button = document.createElement("button");
  button.textContent = "Log out";
  form.append(key, button);
  place.querySelector("a")?.replaceWith(form);
}
