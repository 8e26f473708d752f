"""Training pieces that detectron2's ``DefaultTrainer`` lacks."""
