"""`compact`: our own small network, trained on whole clips under augmentation."""
