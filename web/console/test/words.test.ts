import type { Message } from '@bestchat/client';
import { expect, test } from 'vitest';
import { helpAgainst, noteOf, waitOf } from '../src/chat/words';
import { routeOf, SETTINGS } from '../src/route';

const reply = (how: Partial<Message>) =>
  ({ status: 'running', attempt: 1, finish: null, parts: [], ...how }) as Message;
const error = { code: 'overload', message: 'the provider is overloaded' };

test('an attempt that came to nothing is told with what follows', () => {
  const said = (how: Partial<Message>) => noteOf(reply(how));
  expect(said({})).toBeNull();
  expect(said({ status: 'stopping' })).toBe('Stopping…');
  expect(said({ status: 'pending', attempt: 0 })).toBeNull();
  expect(said({ status: 'pending', setback: { error, switched: false } })).toBe(
    'The provider is overloaded. Answering again…',
  );
  expect(said({ status: 'pending', setback: { error, switched: true } })).toBe(
    'The provider is overloaded. Asking another model…',
  );
  expect(said({ attempt: 2, asked: 'b/two', setback: { error, switched: true } })).toBe(
    'The provider is overloaded. Asking b/two instead (attempt 2)…',
  );
  // Of whoever came later nobody said why.
  expect(said({ status: 'pending', attempt: 1 })).toBe('That did not work. Answering again…');
  expect(said({ attempt: 2, asked: 'a/one' })).toBe('Answering again (attempt 2)…');
});

test('whoever waits is told for what', () => {
  expect(waitOf(reply({ status: 'pending', attempt: 0 }))).toBe('Waiting for the model');
  expect(waitOf(reply({}))).toBe('Waiting for the model');
  expect(waitOf(reply({ thinking: true }))).toBe('Thinking');
  expect(waitOf(reply({ thinking: true, liveText: 'First,' }))).toBe('Thinking');
  expect(waitOf(reply({ liveText: 'First,' }))).toBeNull();
  expect(waitOf(reply({ status: 'stopping', thinking: true }))).toBeNull();
  expect(waitOf(reply({ status: 'completed' }))).toBeNull();
});

test('every failure has something to do about it', () => {
  expect(helpAgainst('auth')).toMatchObject({ inSettings: true });
  expect(helpAgainst('rate')).toEqual({ words: 'Wait a moment, then try again.', inSettings: false });
  expect(helpAgainst('of the future').words).not.toBe('');
});

test('the address says what shows', () => {
  const id = '11111111-1111-4111-8111-111111111111';
  expect(routeOf('')).toEqual({ page: 'new' });
  expect(routeOf(`#/c/${id}`)).toEqual({ page: 'chat', id });
  expect(routeOf(SETTINGS)).toEqual({ page: 'settings' });
  expect(routeOf('#/c/none')).toEqual({ page: 'new' });
});
