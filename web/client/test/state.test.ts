import { describe, expect, test } from 'vitest';
import {
  applyEvent,
  branch,
  type ConversationState,
  emptyState,
  newestDescendant,
  siblings,
} from '../src/index.js';
import { LiveTexts } from '../src/live.js';
import type { ConversationEvent } from '../src/wire.js';
import { AT, CONVERSATION } from './support/frames.js';

const text = (said: string) => [{ type: 'text' as const, text: said }];
const started: ConversationEvent = {
  type: 'ConversationStarted',
  owner: 'ann',
  tenant: 't',
  title: null,
  model: 'demo/echo',
  system_prompt: null,
};
const submitted = (
  message: string,
  parent: string | null,
  edit_of: string | null = null,
): ConversationEvent => ({
  type: 'MessageSubmitted',
  message,
  parent,
  author: 'ann',
  parts: text(message),
  edit_of,
});
const requested = (
  reply: string,
  parent: string,
  regenerate_of: string | null = null,
): ConversationEvent => ({
  type: 'ReplyRequested',
  reply,
  parent,
  model: null,
  regenerate_of,
});
const begun = (reply: string, attempt: number): ConversationEvent => ({
  type: 'ReplyAttemptStarted',
  reply,
  attempt,
  worker: 'w',
  lease_ms: 1,
});
const usage = { input: 1, cached_input: null, output: 2, reasoning: null };
const completed = (reply: string, said: string, attempt = 1): ConversationEvent => ({
  type: 'ReplyCompleted',
  reply,
  attempt,
  parts: text(said),
  finish: 'stop',
  model: 'demo/echo',
  usage,
});

function fold(events: ConversationEvent[], from = emptyState(CONVERSATION)): ConversationState {
  return events.reduce(
    (state, event) => applyEvent(state, { sequence: state.sequence + 1, at: AT, event }),
    from,
  );
}
const asked = [started, submitted('m1', null), requested('r1', 'm1')];

describe('the fold of events', () => {
  test('a question and its answer', () => {
    const state = fold([...asked, begun('r1', 1), completed('r1', 'hello')]);
    expect(state.conversation).toMatchObject({
      owner: 'ann',
      participants: ['ann'],
      active_leaf: 'r1',
      preview: 'm1',
    });
    expect(state.messages.get('m1')).toMatchObject({
      role: 'user',
      status: 'submitted',
      author: 'ann',
      sequence: 2,
    });
    expect(state.messages.get('r1')).toMatchObject({
      status: 'completed',
      model: 'demo/echo',
      finish: 'stop',
      usage,
    });
    expect(state.sequence).toBe(5);
  });

  test('an attempt that ends without an answer leaves the reply pending', () => {
    const error = { code: 'overload', message: 'busy' };
    const failed = fold([
      ...asked,
      begun('r1', 1),
      { type: 'ReplyAttemptFailed', reply: 'r1', attempt: 1, error },
    ]);
    expect(failed.messages.get('r1')).toMatchObject({ status: 'pending', attempt: 1 });
    expect(failed.messages.get('r1')?.setback).toEqual({ error, switched: false });
    const again = fold([begun('r1', 2)], failed);
    expect(again.messages.get('r1')).toMatchObject({ status: 'running', attempt: 2 });
    const ended = fold([{ type: 'ReplyFailed', reply: 'r1', attempt: 2, error, parts: text('par') }], again);
    expect(ended.messages.get('r1')).toMatchObject({ status: 'failed', error, parts: text('par') });
    expect(ended.messages.get('r1')).not.toHaveProperty('setback');
  });

  test('a switch to the next model of a route', () => {
    const error = { code: 'auth', message: 'The key is wrong.' };
    const begun = (attempt: number, model: string): ConversationEvent => ({
      type: 'ReplyAttemptStarted',
      reply: 'r1',
      attempt,
      worker: 'w',
      lease_ms: 1,
      model,
      alternatives: 2,
    });
    const failed: ConversationEvent = {
      type: 'ReplyAttemptFailed',
      reply: 'r1',
      attempt: 1,
      error,
      switch: true,
    };
    const running = fold([...asked, begun(1, 'a/one'), failed, begun(2, 'b/two')]);
    expect(running.messages.get('r1')).toMatchObject({
      status: 'running',
      asked: 'b/two',
      setback: { error, switched: true },
    });
    const ended = fold([completed('r1', 'hello', 2)], running).messages.get('r1');
    expect(ended).not.toHaveProperty('asked');
    expect(ended).not.toHaveProperty('setback');
    const lost = fold([{ type: 'ReplyAttemptExpired', reply: 'r1', attempt: 2 }], running);
    expect(lost.messages.get('r1')?.setback).toMatchObject({
      error: { code: 'worker_lost' },
      switched: false,
    });
  });

  test('a stop', () => {
    const stopping = fold([...asked, begun('r1', 1), { type: 'ReplyStopRequested', reply: 'r1' }]);
    expect(stopping.messages.get('r1')?.status).toBe('stopping');
    const stopped = fold([{ type: 'ReplyStopped', reply: 'r1', attempt: 1, parts: text('he') }], stopping);
    expect(stopped.messages.get('r1')).toMatchObject({ status: 'stopped', parts: text('he') });
  });

  test('a new attempt clears the text of the one before, and only that', () => {
    const running = fold([...asked, begun('r1', 1)]);
    const reply = running.messages.get('r1');
    if (!reply) throw new Error('no reply');
    const said = { ...running, messages: new Map(running.messages).set('r1', { ...reply, liveText: 'abc' }) };
    const expired = fold([{ type: 'ReplyAttemptExpired', reply: 'r1', attempt: 1 }], said);
    expect(expired.messages.get('r1')?.liveText).toBe('abc');
    expect(fold([begun('r1', 2)], expired).messages.get('r1')).not.toHaveProperty('liveText');
    expect(fold([completed('r1', 'abcd')], said).messages.get('r1')).not.toHaveProperty('liveText');
  });

  test('an attempt that goes on keeps the text in sight until its own comes', () => {
    const running = fold([...asked, begun('r1', 1)]);
    const live = new LiveTexts();
    const told = (attempt: number, said: string) => ({ reply: 'r1', attempt, offset: 0, text: said });
    const said = { ...running, messages: live.add(told(1, 'The moon '), running.messages).messages };
    const expired: ConversationEvent = {
      type: 'ReplyAttemptExpired',
      reply: 'r1',
      attempt: 1,
      parts: text('The moon '),
    };
    const next = { ...begun('r1', 2), continues: true } as ConversationEvent;
    const after = (event: ConversationEvent, state: typeof said) => {
      const folded = fold([event], state);
      return { ...folded, messages: live.after(event, folded.messages) };
    };
    const goesOn = after(next, after(expired, said));
    expect(goesOn.messages.get('r1')).toMatchObject({ attempt: 2, parts: [], liveText: 'The moon ' });
    const on = live.add(told(2, 'The moon'), goesOn.messages).messages;
    expect(on.get('r1')?.liveText).toBe('The moon');
  });

  test('edits and other answers are branches; selecting shows one', () => {
    const state = fold([
      ...asked,
      completed('r1', 'one'),
      submitted('m2', null, 'm1'),
      requested('r2', 'm2'),
      requested('r3', 'm2', 'r2'),
    ]);
    expect(state.messages.get('m2')?.alternative_of).toBe('m1');
    expect(branch(state).map(({ id }) => id)).toEqual(['m2', 'r3']);
    expect(siblings(state, 'm2').map(({ id }) => id)).toEqual(['m1', 'm2']);
    expect(siblings(state, 'r2').map(({ id }) => id)).toEqual(['r2', 'r3']);
    expect(newestDescendant(state, 'm2')).toBe('r3');
    const switched = fold([{ type: 'BranchSelected', leaf: 'r1' }], state);
    expect(branch(switched).map(({ id }) => id)).toEqual(['m1', 'r1']);
  });

  test('the conversation’s own row', () => {
    const state = fold([
      started,
      { type: 'ConversationRenamed', title: 'T' },
      { type: 'ModelConfigured', model: 'a/b', system_prompt: 'be kind' },
      { type: 'ParticipantAdded', user: 'bob' },
      { type: 'ParticipantAdded', user: 'abe' },
      { type: 'ParticipantRemoved', user: 'bob' },
      { type: 'ConversationArchived' },
    ]);
    expect(state.conversation).toMatchObject({
      title: 'T',
      model: 'a/b',
      system_prompt: 'be kind',
      archived: true,
    });
    expect(state.conversation.participants).toEqual(['abe', 'ann']);
    expect(fold([{ type: 'ConversationUnarchived' }], state).conversation.archived).toBe(false);
    expect(fold([{ type: 'ConversationDeleted' }], state).gone).toBe(true);
  });

  test('an event of a type from the future only counts', () => {
    const unknown = { type: 'MoonRose' } as unknown as ConversationEvent;
    const before = fold(asked);
    const after = fold([unknown], before);
    expect(after.sequence).toBe(before.sequence + 1);
    expect(after.messages).toBe(before.messages);
  });

  test('no state is changed in place', () => {
    const before = fold(asked);
    const messages = [...before.messages.entries()];
    fold([begun('r1', 1), completed('r1', 'x')], before);
    expect([...before.messages.entries()]).toEqual(messages);
  });
});
