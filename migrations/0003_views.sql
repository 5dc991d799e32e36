-- The read models, a schema each: `rebuild` fills a second schema of the same tables and swaps the two by name.

create schema conversation_list;

create table conversation_list.conversations (
    id            uuid        primary key,
    tenant        text        not null,
    title         text,
    preview       text,
    owner         text        not null,
    participants  text[]      not null,
    model         text,
    system_prompt text,
    active_leaf   uuid,
    archived      boolean     not null,
    sequence      bigint      not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null
);

-- One row for each participant, so that a person's list is one index range.
create table conversation_list.members (
    tenant       text        not null,
    user_id      text        not null,
    conversation uuid        not null,
    archived     boolean     not null,
    updated_at   timestamptz not null,
    primary key (conversation, user_id)
);

create index members_list on conversation_list.members (tenant, user_id, archived, updated_at desc, conversation desc);

create schema transcript;

create table transcript.messages (
    conversation   uuid        not null,
    id             uuid        not null,
    parent         uuid,
    role           text        not null,
    author         text,
    parts          jsonb       not null,
    alternative_of uuid,
    status         text        not null,
    attempt        int         not null,
    model          text,
    finish         text,
    usage          jsonb,
    error          jsonb,
    sequence       bigint      not null,
    created_at     timestamptz not null,
    primary key (conversation, id)
);

create unique index messages_page on transcript.messages (conversation, sequence desc, id);
