-- What people have set for themselves. Of a key the view holds what people know it by and the version of the key-encryption
-- key that it is under; the sealed key is in the log alone.

create schema account;

create table account.accounts (
    id               uuid        primary key,
    tenant           text        not null,
    user_id          text        not null,
    default_provider text,
    default_model    text,
    limits           jsonb       not null,
    sequence         bigint      not null,
    updated_at       timestamptz not null
);

create table account.provider_configs (
    account    uuid        not null,
    provider   text        not null,
    protocol   text,
    base_url   text,
    models     jsonb       not null,
    last_four  text,
    kek        bigint,
    updated_at timestamptz not null,
    primary key (account, provider)
);

select grant_view('account');
