-- BLAKE3 of pieces from all over the file: a file that was put back, with another time than before, is known by it and by its first
-- 64 KiB. Null where it was registered before this upgrade and has not been there since.
alter table videos add column samples_hash text;
