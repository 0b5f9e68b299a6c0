// Package report decides what an inbound mail or an SMTP reply says.
package report
