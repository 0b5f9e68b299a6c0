// Package result is what a measurement came to: its JSON form, its table, its page with plots, and the comparison of
// several.
package result
