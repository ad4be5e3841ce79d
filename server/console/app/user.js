// Who uses the console: the one place that knows. latchd has no sign-in yet, so it is nobody, and
// requests carry nothing. With sign-in, the token is kept here, and every request and WebSocket
// takes it from here.

/** The signed-in user's name and token, if there is one. */
export function user() {
  return null;
}

/** The headers of a request in the user's name. */
export function headers() {
  const signedIn = user();
  return signedIn ? { authorization: `Bearer ${signedIn.token}` } : {};
}

/** The protocols of a WebSocket in the user's name, as etcd's gateway takes a token. */
export function protocols() {
  const signedIn = user();
  return signedIn ? ["Bearer", signedIn.token] : [];
}
