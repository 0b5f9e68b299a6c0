-- Refined events in ClickHouse: each once, in its newest revision.
--
--   carom.events ─▶ events_queue ─▶ events_reader ─▶ events_stored ─▶ events
--                   Kafka engine    materialized     ReplacingMergeTree   view: what you query
--                                   view
--
-- How to run: put the address of a broker in place of broker.example.com:9092, and then
--
--   clickhouse-client --multiquery < events.sql
--
-- Not obvious:
--
--   * Kafka delivers at least once, and so does the Kafka engine. Nothing here drops repeats by origin: a repeat has the same
--     id and revision, so it replaces itself.
--   * Merges happen when they happen. Until then old revisions are still there: query the view, which has FINAL, and never
--     count in events_stored.
--   * Sums in further materialized views would count revisions and repeats again: aggregate over the view, or in a
--     refreshable view.
--   * 'make test-clickhouse' runs all of this in an embedded ClickHouse 26.9 but the consumers of the Kafka engine, which the
--     embedded one does not have.
--   * The whole JSON is kept in value: members that a later Carom adds can be extracted from it when you learn of them.

CREATE TABLE IF NOT EXISTS events_stored
(
    account      LowCardinality(String),
    sender       String,
    id           FixedString(26),
    revision     UInt32,
    kind         LowCardinality(String),
    time         DateTime64(3, 'UTC'),
    sequence     String,
    contact      String,
    message      String,
    first        Bool,
    inferred     Bool,
    sent_at      Nullable(DateTime64(3, 'UTC')),
    link         Nullable(UInt32),
    url          String,
    verdict      LowCardinality(String), -- empty: nobody needed to judge
    reasons      Array(LowCardinality(String)),
    via          LowCardinality(String),
    ip           String,
    user_agent   String,
    hard         Bool,
    category     LowCardinality(String),
    status       LowCardinality(String),
    recipient    String,
    provider     LowCardinality(String),
    feedback_type LowCardinality(String),
    value        String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, sender, id)            -- what makes two rows the same event
TTL toDateTime(time) + INTERVAL 400 DAY DELETE;

CREATE TABLE IF NOT EXISTS events_queue (value String)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'broker.example.com:9092',
    kafka_topic_list = 'carom.events',
    kafka_group_name = 'clickhouse.events',
    kafka_format = 'JSONAsString',
    kafka_num_consumers = 1;              -- at most one for each partition, and for each core

CREATE MATERIALIZED VIEW IF NOT EXISTS events_reader TO events_stored AS
SELECT
    JSONExtractString(value, 'account') AS account,
    JSONExtractString(value, 'sender') AS sender,
    JSONExtractString(value, 'id') AS id,
    JSONExtractUInt(value, 'revision') AS revision,
    JSONExtractString(value, 'kind') AS kind,
    parseDateTime64BestEffort(JSONExtractString(value, 'time'), 3, 'UTC') AS time,
    JSONExtractString(value, 'sequence') AS sequence,
    JSONExtractString(value, 'contact') AS contact,
    JSONExtractString(value, 'message') AS message,
    JSONExtractBool(value, 'first') AS first,
    JSONExtractBool(value, 'inferred') AS inferred,
    parseDateTime64BestEffortOrNull(JSONExtractString(value, 'sent_at'), 3, 'UTC') AS sent_at,
    JSONExtract(value, 'link', 'index', 'Nullable(UInt32)') AS link,
    JSONExtractString(value, 'link', 'url') AS url,
    JSONExtractString(value, 'actor', 'verdict') AS verdict,
    JSONExtract(value, 'actor', 'reasons', 'Array(String)') AS reasons,
    JSONExtractString(value, 'actor', 'via') AS via,
    JSONExtractString(value, 'client', 'ip') AS ip,
    JSONExtractString(value, 'client', 'user_agent') AS user_agent,
    JSONExtractBool(value, 'bounce', 'hard') AS hard,
    JSONExtractString(value, 'bounce', 'category') AS category,
    JSONExtractString(value, 'bounce', 'status') AS status,
    JSONExtractString(value, 'bounce', 'recipient') AS recipient,
    JSONExtractString(value, 'bounce', 'provider') AS provider,
    JSONExtractString(value, 'feedback_type') AS feedback_type,
    value
FROM events_queue;

CREATE VIEW IF NOT EXISTS events AS SELECT * FROM events_stored FINAL;

-- For example, what people did a day:
--
--   SELECT toDate(time) AS day, kind, count() FROM events
--   WHERE account = 'acme' AND sender = 'alice' AND verdict IN ('human', '') GROUP BY day, kind ORDER BY day, kind;
