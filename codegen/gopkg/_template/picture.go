package model

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// DecodeImage reads a JPEG, PNG or GIF file into the pixels that Predict takes, from 0 to 255, resized as for training.
//
// Errors: a file that is none of these or is broken; one of more than maxFileBytes bytes or maxImagePixels pixels, before memory is taken for them.
func DecodeImage(r io.Reader, pixels *[imageHeight * imageWidth * imageChannels]float32) error {
	file, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	if len(file) > maxFileBytes {
		return fmt.Errorf("an image file of more than %d bytes is refused", maxFileBytes)
	}
	p, err := decode(file, imageOrientation, maxImagePixels)
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	for k, v := range p.fitted(imageWidth, imageHeight, imageChannels, imageResize).pix {
		pixels[k] = float32(v)
	}
	return nil
}

// What DecodeImage refuses: larger files, and images of more pixels.
const (
	maxFileBytes   = 64 << 20
	maxImagePixels = 100_000_000
)

var errBMP = errors.New("BMP images are not read here; JPEG, PNG and GIF are")

func decodeBMPConfig(io.Reader) (image.Config, error) { return image.Config{}, errBMP }

func decodeBMP(io.Reader) (image.Image, error) { return nil, errBMP }
