// The OpenTelemetry collector's own receiver, with nothing behind it: what spans come in are written to standard output, each
// batch as a line of OTLP's JSON.
//
// The addresses are the arguments: for OTLP over gRPC, as an API server speaks it, and over HTTP.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("must be called with two addresses: for gRPC and for HTTP"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	protocols := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": os.Args[1]},
		"http": map[string]any{"endpoint": os.Args[2]},
	}})
	check(protocols.Unmarshal(config))
	traces, err := consumer.NewTraces(write)
	check(err)
	receiver, err := factory.CreateTraces(ctx, receivertest.NewNopSettings(factory.Type()), config, traces)
	check(err)
	check(receiver.Start(ctx, componenttest.NewNopHost()))
	<-ctx.Done()
	check(receiver.Shutdown(context.Background()))
}

func write(_ context.Context, traces ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err != nil {
		return err
	}
	// At once, so that no two batches mix.
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "collector: %v\n", err)
	os.Exit(1)
}
