-- A short name of what "error" says in words, for programs that say it in words of their own; null where it was written before this upgrade.
alter table videos add column error_code text;
alter table jobs add column error_code text;
