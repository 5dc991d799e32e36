import { BestChat } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { useEffect, useState } from 'react';
import { type Console, ConsoleContext } from './console';
import { Login } from './Login';
import { Notices } from './notices';
import { Outbound } from './outbound';
import { Shell } from './Shell';
import { loadSession, type Session, storeSession, tokensOf } from './session';

/** The login, or the chats of whoever is logged in. */
export function App() {
  const [session, setSession] = useState(loadSession);
  const [ended, setEnded] = useState(false);

  const login = (next: Session) => {
    storeSession(next);
    setEnded(false);
    setSession(next);
  };
  const logout = (hasEnded: boolean) => {
    storeSession(null);
    setEnded(hasEnded);
    setSession(null);
  };
  if (!session) return <Login onLogin={login} ended={ended} />;
  return <Connected session={session} onLogout={logout} />;
}

function Connected({ session, onLogout }: { session: Session; onLogout(ended: boolean): void }) {
  const [open, setOpen] = useState<Console | null>(null);
  useEffect(() => {
    const client = BestChat.connect(new URL('/ws', location.href).href.replace(/^http/, 'ws'), {
      token: tokensOf(session),
    });
    setOpen({ client, outbound: new Outbound(client), notices: new Notices() });
    return () => client.close();
  }, [session]);
  return open && <Open console={open} onLogout={onLogout} />;
}

function Open({ console, onLogout }: { console: Console; onLogout(ended: boolean): void }) {
  const { closedReason } = useBestChat(console.client);
  useEffect(() => {
    if (closedReason === 'unauthenticated') onLogout(true);
  }, [closedReason, onLogout]);
  return (
    <ConsoleContext value={console}>
      <Shell onLogout={() => onLogout(false)} />
    </ConsoleContext>
  );
}
