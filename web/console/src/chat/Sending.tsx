import { useConsole } from '../console';
import type { OutboundMessage } from '../outbound';

/** A message that the server does not have yet, or does not take. */
export function Sending({ message }: { message: OutboundMessage }) {
  const { outbound } = useConsole();
  const { text, refusal, message: id } = message;
  return (
    <article className="message user own sending" aria-label="Your message, not sent yet">
      <div className="bubble">{text}</div>
      {refusal === null ? (
        <p className="note">Sending…</p>
      ) : (
        <p className="note problem" role="alert">
          {refusal}{' '}
          <button type="button" className="quiet" onClick={() => outbound.forget(id)}>
            Discard
          </button>
        </p>
      )}
    </article>
  );
}
