// Which processes belong to a folder: those that name it in their command, and on Linux those that run in it.

import { execFile } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

const POLL_MS = 50;

/** The processes that still belong to `folder` once `patienceMs` are over; none as soon as there is none. */
export async function leftovers(folder: string, patienceMs: number): Promise<string[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const left = await processesOf(folder);
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function processesOf(folder: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-Awwo', 'pid=,stat=,command='], { maxBuffer: 2 ** 24 });
  const lines = stdout.split('\n').filter((line) => !/^\s*\d+\s+Z/.test(line));
  const belongs = await Promise.all(
    lines.map(async (line) => {
      const pid = Number.parseInt(line, 10);
      if (Number.isNaN(pid) || pid === process.pid) return false;
      if (line.includes(folder)) return true;
      const place = await readlink(`/proc/${pid}/cwd`).catch(() => '');
      return place === folder || place.startsWith(`${folder}/`);
    }),
  );
  return lines.filter((_, at) => belongs[at]);
}
