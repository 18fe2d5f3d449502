"""ATen's operators on NumPy arrays: what a plan leaves whole, where there is no torch.

    OPERATORS       ATen's overload, "aten.addmm.default", or gint's -> a function that takes its
                    arguments
    REFUSED         names that are not there, and why not
    use_backend     what runs the operators' programs
    use_generator   where random numbers come from

A function takes the arguments of ATen's schema, by position and by name. Tensors are NumPy arrays;
a dtype is a numpy.dtype, a memory format its name in torch or None; device, layout and pin_memory
are None. Results are new arrays, or views where ATen has views, in the memory format that ATen
gives where a plan relies on it; tuples where ATen has tuples. What does not fit raises TypeError,
ValueError, IndexError or RuntimeError with a sentence.

Knows NumPy, gint.host. Does not know torch, graphs, plans.
"""

from . import (
    attention as attention,
)
from . import (
    complex_numbers as complex_numbers,
)
from . import (
    convolution as convolution,
)
from . import (
    copies as copies,
)
from . import (
    indexing as indexing,
)
from . import (
    joining as joining,
)
from . import (
    linear_algebra as linear_algebra,
)
from . import (
    pooling as pooling,
)
from . import (
    products as products,
)
from . import (
    quantized as quantized,
)
from . import (
    recurrent as recurrent,
)
from . import (
    resampling as resampling,
)
from . import (
    scanning as scanning,
)
from . import (
    sorting as sorting,
)
from . import (
    views as views,
)
from .launches import use_backend
from .random_numbers import use_generator
from .refused import REFUSED
from .registry import OPERATORS

__all__ = ["OPERATORS", "REFUSED", "use_backend", "use_generator"]
