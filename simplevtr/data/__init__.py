"""Video instance segmentation data in YTVIS format: registration, clips and loaders.

Nothing is imported here: tools that read annotation files need neither torch nor detectron2, which
take seconds to import. ``simplevtr.data.builtin``, which all loaders use, registers the builtin
datasets with detectron2.
"""
