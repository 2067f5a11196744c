# What this collection uses of python3-libvirt, which has no type hints of its own.
