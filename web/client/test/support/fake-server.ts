// A server that says what a test tells it to: real sockets, no rules of its own.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { BestChat, type BestChatOptions } from '../../src/index.js';
import type { ClientFrame, ServerFrame } from '../../src/wire.js';

export type Command = Extract<ClientFrame, { type: 'command' }>;

export class FakeServer {
  readonly received: ClientFrame[] = [];
  /** How the server answers a frame; `auth` is accepted before it is asked. */
  onFrame: (frame: ClientFrame, socket: Peer) => void = () => {};
  onAuth: (token: string, socket: Peer) => void = (_token, socket) => socket.authenticated();
  pingMs = 25_000;
  connections = 0;
  #server: WebSocketServer;
  #peers = new Set<Peer>();
  #clients: BestChat[] = [];

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (ws) => this.#accept(new Peer(ws)));
  }

  static async start(): Promise<FakeServer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    return new FakeServer(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`;
  }

  connect(options: Partial<BestChatOptions> = {}): BestChat {
    const webSocket = WebSocket as unknown as typeof globalThis.WebSocket;
    const client = BestChat.connect(this.url, { token: () => 'token', webSocket, ...options });
    this.#clients.push(client);
    return client;
  }

  send(frame: ServerFrame): void {
    for (const peer of this.#peers) peer.send(frame);
  }

  /** Cuts every socket without a word, as a lost network does. */
  cut(): void {
    for (const peer of this.#peers) peer.ws.terminate();
  }

  closeAll(code: number): void {
    for (const peer of this.#peers) peer.ws.close(code);
  }

  of<T extends ClientFrame['type']>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.received.filter((frame) => frame.type === type) as Extract<ClientFrame, { type: T }>[];
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(peer: Peer): void {
    this.connections += 1;
    this.#peers.add(peer);
    peer.ws.on('close', () => this.#peers.delete(peer));
    peer.send({
      type: 'hello',
      protocol: 1,
      session: 's',
      ping_ms: this.pingMs,
      max_frame: 262_144,
      auth_ms: 5_000,
    });
    peer.ws.on('message', (data) => {
      const frame = JSON.parse(String(data)) as ClientFrame;
      this.received.push(frame);
      if (frame.type === 'auth') this.onAuth(frame.token, peer);
      else this.onFrame(frame, peer);
    });
  }
}

export class Peer {
  constructor(readonly ws: WebSocket) {}

  send(frame: ServerFrame): void {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(frame));
  }

  authenticated(seconds = 3_600): void {
    this.send({ type: 'authenticated', user: 'ann', expires_at: Date.now() / 1000 + seconds });
  }

  ack({ id }: Command, sequence = 1): void {
    this.send({ type: 'ack', id, sequence, position: `0:${sequence}` });
  }

  refuse({ id, conversation }: Command, code: string, retryable: boolean): void {
    this.send({ type: 'refused', id, conversation, code, message: `refused: ${code}`, retryable });
  }
}
