// How the client says no, for itself and for the server.

/** The server, or the client for it, refused. `code` is stable for programs, the message is for people. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: string;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;

  constructor(refusal: { code: string; message: string; retryable: boolean }) {
    super(refusal.message);
    this.code = refusal.code;
    this.retryable = refusal.retryable;
  }
}
