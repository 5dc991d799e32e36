// Who a socket is: the `sub` of an HS256 token in the connect packet, checked once per connection.

import jwt from 'jsonwebtoken';

/** Socket.IO middleware that sets `socket.data.user`. Without a secret everyone is let in under one name. */
export function authenticator(secret) {
  if (!secret) {
    return (socket, next) => {
      socket.data.user = 'anonymous';
      next();
    };
  }
  return (socket, next) => {
    try {
      const { sub } = jwt.verify(socket.handshake.auth.token, secret, { algorithms: ['HS256'] });
      if (!sub) throw new Error('the token names no one');
      socket.data.user = sub;
      next();
    } catch {
      next(new Error('unauthenticated'));
    }
  };
}
