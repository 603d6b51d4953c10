#include "library/store/schema.h"

#include <array>

namespace samplemind::library {

namespace {

constexpr std::array<const char*, 3> kMigrations{R"sql(
CREATE TABLE sample (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,          -- the file system's bytes: they need not be UTF-8
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  digest BLOB,
  error TEXT,
  missing INTEGER NOT NULL DEFAULT 0,
  added_ms INTEGER NOT NULL,
  analysis_version INTEGER NOT NULL,
  name TEXT NOT NULL,                 -- for sorting
  format TEXT, duration_s REAL, sample_rate_hz INTEGER, channels INTEGER, bit_depth INTEGER,
  tempo_bpm REAL, tempo_confidence REAL, time_signature TEXT,
  key TEXT, key_confidence REAL,
  loudness_lufs REAL, loudness_range_lu REAL, true_peak_dbtp REAL,
  content TEXT, kind TEXT, note_midi REAL,
  lists TEXT                          -- JSON: beats_s, downbeats_s, onsets_s, warnings
);
CREATE INDEX sample_digest ON sample(digest);
CREATE INDEX sample_tempo ON sample(tempo_bpm) WHERE tempo_bpm IS NOT NULL;
CREATE INDEX sample_key ON sample(key) WHERE key IS NOT NULL;
-- What an open list shows first, and what it counts.
CREATE INDEX sample_name ON sample(name COLLATE NOCASE) WHERE error IS NULL AND missing = 0;
CREATE VIRTUAL TABLE sample_words USING fts5(name, folder, facts, tokenize = 'unicode61', prefix = '2 3');
CREATE TRIGGER sample_gone AFTER DELETE ON sample BEGIN
  DELETE FROM sample_words WHERE rowid = old.id;
END;
)sql",
                                                 R"sql(
ALTER TABLE sample ADD COLUMN kind_confidence REAL;
ALTER TABLE sample ADD COLUMN descriptor BLOB;  -- audio/feature/descriptor.h
CREATE INDEX sample_kind ON sample(kind) WHERE kind IS NOT NULL;
)sql",
                                                 R"sql(
-- Measurements in full move into a table of their own, so that a walk over all sounds stays short;
-- words are indexed in memory; what the user says, collections, a journal.
CREATE TABLE sample_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,          -- the file system's bytes: they need not be UTF-8
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  digest BLOB,
  error TEXT,
  missing INTEGER NOT NULL DEFAULT 0,
  added_ms INTEGER NOT NULL,
  analysis_version INTEGER NOT NULL,
  format TEXT, duration_s REAL, sample_rate_hz INTEGER, channels INTEGER, bit_depth INTEGER,
  tempo_bpm REAL, tempo_confidence REAL, tempo_source TEXT, time_signature TEXT,
  key TEXT, key_confidence REAL, key_source TEXT,
  loudness_lufs REAL, loudness_range_lu REAL, true_peak_dbtp REAL,
  content TEXT, kind TEXT, kind_confidence REAL, kind_source TEXT, note_midi REAL
);
INSERT INTO sqlite_sequence (name, seq) SELECT 'sample_new', seq FROM sqlite_sequence WHERE name='sample';
INSERT INTO sample_new (id, path, size, mtime_ns, digest, error, missing, added_ms, analysis_version,
    format, duration_s, sample_rate_hz, channels, bit_depth, tempo_bpm, tempo_confidence,
    time_signature, key, key_confidence, loudness_lufs, loudness_range_lu, true_peak_dbtp, content,
    kind, kind_confidence, note_midi)
  SELECT id, path, size, mtime_ns, digest, error, missing, added_ms, analysis_version,
    format, duration_s, sample_rate_hz, channels, bit_depth, tempo_bpm, tempo_confidence,
    time_signature, key, key_confidence, loudness_lufs, loudness_range_lu, true_peak_dbtp, content,
    kind, kind_confidence, note_midi FROM sample ORDER BY id;
-- What was heard, in the form of audio/analysis_json.h.
CREATE TABLE sample_detail (id INTEGER PRIMARY KEY, analysis TEXT NOT NULL);
INSERT INTO sample_detail SELECT id, json_patch(json_object('format', format,
    'duration_s', duration_s, 'sample_rate_hz', sample_rate_hz, 'channels', channels,
    'bit_depth', bit_depth, 'tempo_bpm', tempo_bpm, 'tempo_confidence', tempo_confidence,
    'time_signature', time_signature, 'key', key, 'key_confidence', key_confidence,
    'loudness_lufs', loudness_lufs, 'loudness_range_lu', loudness_range_lu,
    'true_peak_dbtp', true_peak_dbtp, 'content', content, 'kind', kind,
    'kind_confidence', kind_confidence, 'note_midi', note_midi),
    CASE WHEN json_valid(lists) THEN lists ELSE '{}' END)
  FROM sample WHERE error IS NULL;
CREATE TABLE sample_vector (id INTEGER PRIMARY KEY, descriptor BLOB NOT NULL);
INSERT INTO sample_vector SELECT id, descriptor FROM sample WHERE length(descriptor) > 0;
DROP TRIGGER sample_gone;
DROP TABLE sample_words;
DROP TABLE sample;
ALTER TABLE sample_new RENAME TO sample;
CREATE INDEX sample_digest ON sample(digest);
CREATE TABLE sample_mark (id INTEGER PRIMARY KEY, marks TEXT NOT NULL);  -- library/marks.h
CREATE TABLE collection (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE COLLATE NOCASE,
  query TEXT NOT NULL DEFAULT '',     -- not empty: a smart collection
  note TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL
);
CREATE TABLE collection_sample (
  collection_id INTEGER NOT NULL, position INTEGER NOT NULL, sample_id INTEGER NOT NULL,
  PRIMARY KEY (collection_id, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX collection_sample_once ON collection_sample(collection_id, sample_id);
CREATE INDEX collection_of_sample ON collection_sample(sample_id);
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,                 -- marks, collection, move, purge, relocate
  what TEXT NOT NULL,                 -- for people
  state TEXT NOT NULL                 -- done, undone, pending
);
CREATE TABLE journal_row (
  journal_id INTEGER NOT NULL, n INTEGER NOT NULL, sample_id INTEGER NOT NULL,
  before TEXT NOT NULL,               -- JSON: what undo() puts back
  PRIMARY KEY (journal_id, n)
) WITHOUT ROWID;
CREATE TABLE watch (folder BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER sample_gone AFTER DELETE ON sample BEGIN
  DELETE FROM sample_detail WHERE id = old.id;
  DELETE FROM sample_vector WHERE id = old.id;
  DELETE FROM sample_mark WHERE id = old.id;
  DELETE FROM collection_sample WHERE sample_id = old.id;
END;
)sql"};

}  // namespace

std::span<const char* const> migrations() {
  return kMigrations;
}

}  // namespace samplemind::library
