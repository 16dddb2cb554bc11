// Command embed tells cats from dogs over HTTP with a model that nnc wrote as a Go package. It needs nothing but the standard library.
//
//	go run . -addr localhost:8080
//	curl --data-binary @photo.jpg localhost:8080/classify
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nnc-lang/nnc/examples/embed/catdog"
)

//go:generate go run github.com/nnc-lang/nnc/cmd/nnc gen -o catdog --weights catdog/weights.safetensors ../catdog/catdog.nn

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	flag.Parse()
	model, err := catdog.New()
	if err != nil {
		log.Fatal(err)
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := serve(stop, *addr, model); err != nil {
		log.Fatal(err)
	}
}

// serve answers until stop is done; requests that are in progress then are finished.
func serve(stop context.Context, addr string, model *catdog.Model) error {
	server := &http.Server{
		Addr: addr, Handler: handler(model),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("listening on %s", addr)
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	log.Print("finishing what is in progress")
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// maxBody is the largest file that is accepted, in bytes.
const maxBody = 8 << 20

// maxDecodes is how many images are decoded at the same time: each may take as much memory as its pixels.
const maxDecodes = 8

// handler answers POST /classify, whose body is an image file, with a line of JSON.
func handler(model *catdog.Model) http.Handler {
	places := make(chan struct{}, maxDecodes)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /classify", func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-r.Context().Done():
			return
		}
		pixels := new([32 * 32 * 3]float32)
		err := catdog.DecodeImage(http.MaxBytesReader(w, r.Body, maxBody), pixels)
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("the file has more than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
			return
		}
		label, probability, err := model.Classify(pixels)
		if err != nil {
			log.Print(err)
			http.Error(w, "the model failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"class\": %q, \"probability\": %.4f}\n", label, probability)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}
