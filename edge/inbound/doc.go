// Package inbound takes mail over SMTP and tells what it says as facts.
package inbound
