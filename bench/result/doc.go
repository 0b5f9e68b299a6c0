// Package result is what a measurement came to: its JSON form, its table, its page with plots, and the comparison of
// several.
//
//	Histogram ─▶ Distribution ─▶ Result ─▶ Write ─▶ JSON ─▶ Read ─▶ Results
//	                               │                                  │
//	                               └──────▶ table, page ◀─ Compare ◀──┘
//
// Guarantee: what Read has returned can be shown. Its figures are finite, its lists bounded, whoever wrote the file.
//
// Not obvious:
//   - Percentiles are never averaged: rounds are merged from their whole histograms, or their medians are told with their spread.
//   - A percentile beyond which no time lies is left out, so p99.99 of a thousand requests is not there.
package result
