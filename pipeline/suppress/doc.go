// Package suppress decides about addresses: to whom no mail goes, and how they come back. SUPPRESSIONS.md has the rules.
//
//	addresses ─▶ Partition: facts and orders, by address ─▶ causes, decisions
//	                 │      one Pebble batch                      │
//	                 ▼                                            ▼
//	        entries, quotas, providers                    log of suppressions      with Kafka a compacted topic
//	                 │                                            │
//	                 ▼                                     every node follows
//	       inquiries and alerts, journaled                        ▼
//	                                                     Book ◀── edge/api: Check, Get, List, Decision
package suppress
