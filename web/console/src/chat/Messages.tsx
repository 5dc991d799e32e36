import type { ConversationState, Message } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { useConsole } from '../console';
import { IconButton } from '../IconButton';
import type { OutboundMessage } from '../outbound';
import { Announcer } from './Announcer';
import { OlderMessages } from './OlderMessages';
import { Reply } from './Reply';
import { Sending } from './Sending';
import { useStickyScroll } from './sticky-scroll';
import { UserMessage } from './UserMessage';

interface Props {
  state: ConversationState;
  /** The branch that shows. */
  shown: Message[];
  sending: OutboundMessage[];
  typing: readonly string[];
  loadOlder(): Promise<void>;
}

export function Messages({ state, shown, sending, typing, loadOlder }: Props) {
  const { client } = useConsole();
  const { user } = useBestChat(client);
  const { scroller, content, isAtEnd, toEnd } = useStickyScroll(shown[0]?.id, sending.at(-1)?.message);
  const others = typing.filter((name) => name !== user);
  const edits = new Map(sending.filter(({ editOf }) => editOf !== null).map((it) => [it.editOf, it]));
  const cut = shown.findIndex(({ id }) => edits.has(id));
  // What is being worded anew takes its own place; what followed the old wording is not on the new branch.
  const kept = cut < 0 ? shown : shown.slice(0, cut);
  return (
    <div className="messages-place">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable part must be reachable by keyboard. */}
      <section className="messages" ref={scroller} aria-label="Messages" tabIndex={0}>
        <div className="column" ref={content}>
          {state.more && <OlderMessages load={loadOlder} count={state.messages.size} />}
          {kept.map((message) =>
            message.role === 'user' ? (
              <UserMessage
                key={message.id}
                state={state}
                message={message}
                isOwn={message.author === user}
                isShared={state.conversation.participants.length > 1}
              />
            ) : (
              <Reply key={message.id} state={state} message={message} />
            ),
          )}
          {sending.map((message) => (
            <Sending key={message.message} message={message} />
          ))}
          <p className="typing" role="status">
            {others.length > 0 && `${others.join(', ')} ${others.length > 1 ? 'are' : 'is'} typing…`}
          </p>
        </div>
      </section>
      {!isAtEnd && (
        <IconButton icon="down" label="To the newest message" className="to-end" onClick={toEnd} />
      )}
      <Announcer shown={shown} />
    </div>
  );
}
