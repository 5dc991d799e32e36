-- Replies that have not ended, so that the reaper finds those whose worker is gone and workers those that nobody took.
-- Kept by the owner of each shard from its events; `expires_at` is database time and renewed by the worker at the reply.
create table open_replies (
    conversation uuid        not null,
    reply        uuid        not null,
    shard        int         not null,
    pos          bigint      not null,
    attempt      int         not null,
    state        text        not null check (state in ('pending', 'running', 'stopping')),
    expires_at   timestamptz not null,
    -- People choose the ids of replies, so one is unique within its conversation alone.
    primary key (conversation, reply)
);

create index open_replies_due on open_replies (shard, expires_at);
