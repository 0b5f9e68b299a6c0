// Package progress shows people how far long work has come:
//
//	hits               ████████████░░░░░░░░░░░░░░░░░░   3012 of 7327
package progress
