import { type ConversationState, type Message, siblings } from '@bestchat/client';
import { useAsk, useConsole } from '../console';
import { IconButton } from '../IconButton';

/** Which of the alternatives at this place shows, and the way to the others. */
export function Branches({ state, message }: { state: ConversationState; message: Message }) {
  const { client } = useConsole();
  const ask = useAsk();
  const all = siblings(state, message.id);
  if (all.length < 2) return null;
  const at = all.findIndex(({ id }) => id === message.id);
  const step = (by: number) => {
    const next = all[at + by];
    return {
      disabled: next === undefined,
      onClick: () => {
        const { id } = next ?? message;
        void ask(client.command(state.conversation.id, { type: 'SelectBranch', message: id }));
      },
    };
  };
  return (
    <fieldset className="branches" aria-label="Alternatives">
      <IconButton icon="left" label="The alternative before" {...step(-1)} />
      <span>
        {at + 1}/{all.length}
      </span>
      <IconButton icon="right" label="The alternative after" {...step(1)} />
    </fieldset>
  );
}
