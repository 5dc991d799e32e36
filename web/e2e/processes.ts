// Which processes belong to a folder: those that name it in their command, and on Linux those that run in it.

import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

const POLL_MS = 50;

/** The processes that still belong to `folder` once `patienceMs` are over; none as soon as there is none. */
export async function leftovers(folder: string, patienceMs: number): Promise<string[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const left = process.platform === 'linux' ? await fromProc(folder) : await fromPs(folder);
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Postgres's own children name no folder, but they run in it. */
async function fromProc(folder: string): Promise<string[]> {
  const found = (await readdir('/proc')).map(async (pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    // Of one that has just ended, or belongs to someone else, neither can be read.
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    const place = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const belongs = command.includes(folder) || `${place}/`.startsWith(`${folder}/`);
    return belongs ? [`${pid} ${command}`] : [];
  });
  return (await Promise.all(found)).flat();
}

async function fromPs(folder: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-Awwo', 'pid=,command='], { maxBuffer: 2 ** 24 });
  return stdout.split('\n').filter((line) => line.includes(folder));
}
