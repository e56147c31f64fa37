"""Fine-tuning wav2vec 2.0 with PyTorch and transformers: the report's chapter 6."""

import os

# transformers 4 imports TensorFlow wherever it is installed, for classes that it has dropped since.
os.environ.setdefault("USE_TF", "0")
