// Package deploy_test holds what is published for consumers against the code that writes the topics.
//
//	pipeline/event, refine, ... ─▶ real records ─┬─▶ schemas/*.schema.json, schemas/raw.proto
//	                                             └─▶ examples/: child processes, on a real broker (TestBroker…)
//	pipeline/kafka: the topics' settings ──────────▶ asyncapi.yaml, CONSUMERS.md
package deploy_test
