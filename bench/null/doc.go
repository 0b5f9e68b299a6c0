// Package null is servers that answer as right ones do and do nothing: what a harness manages against them is what the
// harness manages.
package null
