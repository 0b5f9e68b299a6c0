// Package provider knows which mailbox provider a recipient's domain belongs to, and whether that one reports complaints.
//
//	domains.tsv, feedback.tsv ─▶ tables, compiled at first use
//	recipient's domain ────────▶ Of ─▶ name ─▶ Reports
//
// It is pure: no state, no look-ups. It looks at the domain alone, so a company whose mail lives at a provider under a
// domain of its own is a provider of its own: what the company's recipients do tells of the company.
//
// Not obvious:
//
//   - Names are those of edge/report's table of providers, so that a bounce's provider and a recipient's compare.
//   - A name is never empty for a domain, and a domain that is not known is its own name: names are as many as domains.
//   - Names are stored by those who count by them. A domain that gets a name counts under it from then on.
package provider
