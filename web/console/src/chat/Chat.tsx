import { branch, hasEnded } from '@bestchat/client';
import { useConversation } from '@bestchat/client/react';
import { type ReactNode, useEffect, useSyncExternalStore } from 'react';
import { inWords, useAsk, useConsole } from '../console';
import { useConnection } from '../sidebar/Connection';
import { titleOf } from '../title';
import { Composer } from './Composer';
import { Header } from './Header';
import { Messages } from './Messages';
import { Sending } from './Sending';

interface Props {
  id: string;
  menuButton: ReactNode;
}

/** A conversation. One that the server has not acknowledged yet shows its first message on the way. */
export function Chat({ id, menuButton }: Props) {
  const { outbound } = useConsole();
  const { messages, starting } = useSyncExternalStore(outbound.subscribe, outbound.getSnapshot);
  const sending = messages.filter((message) => message.conversation === id);
  if (!starting.has(id)) return <Started id={id} menuButton={menuButton} sending={sending} />;
  return (
    <main className="chat">
      <header className="chat-head">
        {menuButton}
        <h1>New chat</h1>
      </header>
      <div className="messages">
        <div className="column">
          {sending.map((message) => (
            <Sending key={message.message} message={message} />
          ))}
        </div>
      </div>
      <Composer draftKey={id} disabled onSend={() => {}} />
    </main>
  );
}

function Started({
  id,
  menuButton,
  sending,
}: Props & { sending: Parameters<typeof Sending>[0]['message'][] }) {
  const { client, outbound } = useConsole();
  const ask = useAsk();
  const connection = useConnection();
  const { state, problem, typing, loadOlder } = useConversation(client, id);
  const title = state ? titleOf(state.conversation) : 'BestChat';
  useEffect(() => {
    document.title = `${title} · BestChat`;
    return () => {
      document.title = 'BestChat';
    };
  }, [title]);
  useEffect(() => {
    // What the conversation has is not on its way any more.
    for (const { message } of sending) if (state?.messages.has(message)) outbound.forget(message);
  }, [sending, state, outbound]);

  if (problem) return <Missing menuButton={menuButton} words={inWords(problem)} />;
  if (!state) return <main className="chat" aria-busy="true" />;
  const shown = branch(state);
  const running = shown.find((message) => !hasEnded(message));
  const leaf = shown.at(-1)?.id ?? null;
  return (
    <main className="chat">
      <Header conversation={state.conversation} menuButton={menuButton} />
      {connection !== 'online' && (
        <p className="offline-note" role="status">
          {connection === 'offline' ? 'You are offline.' : 'Reconnecting…'} What you write is sent once you
          are back.
        </p>
      )}
      <Messages
        state={state}
        shown={shown}
        sending={sending.filter(({ message }) => !state.messages.has(message))}
        typing={typing}
        loadOlder={loadOlder}
      />
      {state.conversation.archived ? (
        <Archived onUnarchive={() => ask(client.command(id, { type: 'UnarchiveConversation' }))} />
      ) : (
        <Composer
          draftKey={id}
          onTyping={() => client.typing(id)}
          onSend={(text) => outbound.submit(id, text, leaf)}
          {...(running && {
            isStopping: running.status === 'stopping',
            onStop: () => void ask(client.command(id, { type: 'StopReply', reply: running.id })),
          })}
        />
      )}
    </main>
  );
}

function Archived({ onUnarchive }: { onUnarchive(): void }) {
  return (
    <div className="archived-note">
      This chat is archived.{' '}
      <button type="button" className="quiet" onClick={onUnarchive}>
        Take it out of the archive
      </button>
    </div>
  );
}

function Missing({ menuButton, words }: { menuButton: ReactNode; words: string }) {
  return (
    <main className="chat">
      <header className="chat-head">{menuButton}</header>
      <div className="welcome">
        <h2>There is no such chat</h2>
        <p className="muted">{words}</p>
        <a href="#/">Begin a new one</a>
      </div>
    </main>
  );
}
