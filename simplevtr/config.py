"""Every configuration key that SimpleVTR adds to detectron2's, once, with its meaning.

"§" refers to the SimpleVTR paper; "VisTR" marks a value that the paper inherits from VisTR.
Keys of detectron2 (``INPUT.MIN_SIZE_TRAIN``, ``SOLVER.CLIP_GRADIENTS``, ``TEST.EVAL_PERIOD``, ...)
keep their meaning.
"""

from typing import Any

from detectron2.config import CfgNode, get_cfg

# What lists hold whose default is empty or has a fixed length. A list: any number of entries like
# its own; a tuple: exactly these. All other lists hold entries like the first one of their default.
LIST_ITEMS: dict[str, Any] = {
    "DATASETS.CUSTOM": [[""]],
    "DATASETS.TEST": [""],
    "DATASETS.TRAIN": [""],
    "INPUT.CROP_RANGE": (0, 0),
    "MODEL.IGNORE_WEIGHTS": [""],
    "MODEL.PIXEL_MEAN": (0.0, 0.0, 0.0),
    "MODEL.PIXEL_STD": (0.0, 0.0, 0.0),
    "MODEL.RESNETS.BLOCKS_PER_STAGE": (0, 0, 0, 0),
    "MODEL.RESNETS.STAGE_STRIDES": (0, 0, 0, 0),
    "MODEL.SIMPLEVTR.MASK_HEAD.WIDTHS": (0, 0, 0, 0),
    "MODEL.SIMPLEVTR.RECOMPUTE": [""],
    "MODEL.TIMM.SIZE": [0],
    "SOLVER.STEPS": [0],
    "SOLVER.STEP_EPOCHS": [0.0],
    "TEST.AREA_LIMITS": (0, 0),
    "TEST.EXPECTED_RESULTS": [("", "", 0.0, 0.0)],
    "WRITERS": [""],
}


def default_config() -> CfgNode:
    """A new config of defaults, detectron2's and SimpleVTR's."""
    cfg = get_cfg()
    add_simplevtr_config(cfg)
    return cfg


def add_simplevtr_config(cfg: CfgNode) -> None:
    """Add SimpleVTR's keys and the defaults that differ from detectron2's to ``cfg``, in place."""
    _add_model(cfg)
    _add_backbone(cfg)
    _add_mask_head(cfg)
    _add_pixel_head(cfg)
    _add_losses(cfg)
    _add_data(cfg)
    _add_solver(cfg)
    _add_test(cfg)
    # Where a training's scalars go in addition to metrics.json and TensorBoard: "wandb", "mlflow"
    cfg.WRITERS = []


def keyword_arguments(node: CfgNode) -> dict[str, Any]:
    """The keys of a node, in small letters, for a constructor with an argument for each."""
    return {key.lower(): value for key, value in node.items()}


def inference_window(cfg: CfgNode) -> int:
    """Frames that the network looks at together in inference; 0 for a whole video."""
    return cfg.MODEL.SIMPLEVTR.QUERY_FRAMES or cfg.TEST.WINDOW


def _add_model(cfg: CfgNode) -> None:
    cfg.MODEL.META_ARCHITECTURE = "SIMPLEVTR"
    # False trains classes and boxes only, as DETR is trained before VisTR starts from it (VisTR).
    cfg.MODEL.MASK_ON = True

    # Keys of MODEL.WEIGHTS that start so are not loaded, e.g. ["network.class_head"] for new
    # classes.
    cfg.MODEL.IGNORE_WEIGHTS = []

    # Keys of earlier versions: configs that a run has saved may still name them.
    cfg.register_deprecated_key("MODEL.CHANNELS_LAST")
    cfg.register_deprecated_key("MODEL.COMPILE")

    cfg.MODEL.SIMPLEVTR = CfgNode()
    node = cfg.MODEL.SIMPLEVTR
    # How masks are made: "paper", from attention maps of each slot and frame (§3.2), or "pixel", a
    # kernel of the slot times an embedding of every pixel, which is computed once per frame.
    node.HEAD = "paper"
    node.NUM_CLASSES = 40  # K, without "no object"
    # Leading class indices that no category uses. VisTR: 1, its class layer counts from 1.
    node.CLASS_OFFSET = 0
    node.NUM_QUERIES = 10  # Q, instance slots (§3.4, A.2)
    # 0: queries without a frame axis, any T (§3.4, eq. 2). T: one query per frame and slot, fixed T
    # (VisTR).
    node.QUERY_FRAMES = 0
    # C, divisible by 6 (three axes of sine/cosine pairs) and by NUM_HEADS (VisTR)
    node.HIDDEN_DIM = 384
    node.NUM_HEADS = 8  # attention heads (VisTR)
    node.DIM_FEEDFORWARD = 2048  # width of the feed-forward layers (VisTR)
    node.DROPOUT = 0.1  # in the transformer (VisTR)
    node.ENC_LAYERS = 4  # §3.5; VisTR: 6
    node.DEC_LAYERS = 4  # §3.5; VisTR: 6
    # "zeros" (VisTR) or "query": what the first decoder layer starts from
    node.DECODER_INPUT = "zeros"
    # Parts whose activations are computed again in the backward pass instead of kept, any of
    # "backbone" and, of the paper's head, "encoder", "mask_head", of the pixel head,
    # "pixel_decoder": the same result for less memory and more time.
    node.RECOMPUTE = []
    # Initial bias of the "no object" logit; > 0 helps training from scratch
    node.NO_OBJECT_BIAS = 0.0


def _add_backbone(cfg: CfgNode) -> None:
    # The ResNet of detectron2, with the outputs of all four stages (VisTR).
    cfg.MODEL.BACKBONE.NAME = "build_resnet_backbone"
    cfg.MODEL.BACKBONE.FREEZE_AT = 2  # stem and first stage (VisTR)
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res2", "res3", "res4", "res5"]
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False  # as in torchvision's weights
    # For BACKBONE.NAME "build_small_resnet_backbone" alone:
    cfg.MODEL.RESNETS.BLOCKS_PER_STAGE = [1, 1, 1, 1]  # basic blocks in res2 .. res5
    cfg.MODEL.RESNETS.STAGE_STRIDES = [1, 2, 2, 2]  # of res2 .. res5
    cfg.MODEL.RESNETS.STEM_STRIDE = 2  # stride of the 3x3 stem, which has no max-pool

    # For BACKBONE.NAME "build_timm_backbone" alone, where FREEZE_AT counts timm's groups: the stem,
    # then the stages (of a ViT, MLP-Mixer or ResMLP the blocks)
    cfg.MODEL.TIMM = CfgNode()
    cfg.MODEL.TIMM.NAME = ""  # one of timm.list_models(), e.g. "tf_efficientnet_lite0"
    # Further arguments of the model, e.g. {dynamic_img_size: True} for a ViT
    cfg.MODEL.TIMM.OPTIONS = CfgNode(new_allowed=True)
    # [height, width] that frames are resized to, for models of one size (MLP-Mixer); []: their own
    cfg.MODEL.TIMM.SIZE = []
    cfg.MODEL.TIMM.PYRAMID_CHANNELS = 256  # of the four features made of a model's single one
    cfg.MODEL.TIMM.FROZEN_NORM = True  # batch norms keep statistics, scales and shifts (FrozenBN)

    # ImageNet statistics for RGB frames in [0, 255], as torchvision's weights expect.
    cfg.MODEL.PIXEL_MEAN = [123.675, 116.280, 103.530]
    cfg.MODEL.PIXEL_STD = [58.395, 57.120, 57.375]


def _add_mask_head(cfg: CfgNode) -> None:
    node = cfg.MODEL.SIMPLEVTR
    node.MASK_HEAD = CfgNode()
    # "dcnv2" (modulated), "dcnv1" (VisTR) or "plain" convolutions at the end (§3.2)
    node.MASK_HEAD.CONV = "dcnv2"
    # Channels after the 2nd, 3rd and 4th convolution and the first deformable one; VisTR: C/2,
    # C/4, C/8, C/16.
    node.MASK_HEAD.WIDTHS = [192, 96, 48, 24]
    # Stacked 3x3 layers of that kind; the last gives the logit (§3.6); VisTR: 1
    node.MASK_HEAD.NUM_DEFORM = 2
    # Kernel size of the convolution that predicts offsets; VisTR: 1
    node.MASK_HEAD.OFFSET_KERNEL = 3
    # True: VisTR's 3-D convolutions after the deformable ones (§3.6 removes them)
    node.MASK_HEAD.CONV3D = False
    # Masks at half the finest feature's stride, for small objects (§3.6): "none", "subpixel" (four
    # logits per cell, Shi et al. 2016) or "deconv" (transposed convolution, Long et al. 2015).
    node.MASK_HEAD.UPSAMPLE = "none"
    # Factor on the attention maps, the only input that tells slots apart. Their values sum to 1
    # over heads and cells, so next to the normalised memory they hardly count at first; VisTR: 1.
    node.MASK_HEAD.ATTENTION_SCALE = 1.0


def _add_pixel_head(cfg: CfgNode) -> None:
    cfg.MODEL.SIMPLEVTR.PIXEL = CfgNode()
    node = cfg.MODEL.SIMPLEVTR.PIXEL
    # Channels of the feature pyramid, one number for each of RESNETS.OUT_FEATURES, coarse to fine
    node.WIDTHS = [256, 256, 256, 128]
    node.EMBEDDING = 64  # channels of the pixel embedding, at the stride of the finest feature
    # Channels of a second embedding at the size of the input, for small frames; 0: none
    node.FINE_CHANNELS = 0
    node.NORM = "GN"  # after each convolution of the pyramid
    node.SELF_ATTENTION = []  # levels whose cells attend to each other within a frame
    node.DEFORM = []  # levels whose convolution is a modulated deformable one
    # Slots attend to the cells of their own mask only (Mask2Former §3.2)
    node.MASKED_ATTENTION = True


def _add_losses(cfg: CfgNode) -> None:
    node = cfg.MODEL.SIMPLEVTR
    node.LOSS = CfgNode()
    node.LOSS.CLASS_WEIGHT = 1.0  # cross-entropy (VisTR)
    node.LOSS.NO_OBJECT_WEIGHT = 0.1  # weight of "no object" within the cross-entropy (VisTR)
    node.LOSS.L1_WEIGHT = 5.0  # boxes (VisTR)
    node.LOSS.GIOU_WEIGHT = 2.0  # boxes (VisTR)
    node.LOSS.GIOU_EPS = 1e-7  # added to areas, relative to the frame's; VisTR's code: 1e-6
    node.LOSS.MASK_WEIGHT = 1.0  # sigmoid focal loss (VisTR)
    node.LOSS.DICE_WEIGHT = 1.0  # dice with +1 smoothing (VisTR)
    # Per-cell class loss on the encoder's memory, off in the paper; helps from scratch
    node.LOSS.DENSE_WEIGHT = 0.0
    node.LOSS.DEEP_SUPERVISION = True  # class and box losses after every decoder layer (VisTR)
    # The target of a frame in which a matched instance is absent. Its class: "no_object" (VisTR) or
    # "label", its own. Its mask: "ignore" (VisTR), nothing; "empty", it must be empty there.
    node.LOSS.ABSENT_CLASS = "no_object"
    node.LOSS.ABSENT_MASK = "ignore"
    # True: absent frames count in the losses' normaliser, as in VisTR's code
    node.LOSS.COUNT_ABSENT = False
    # Points of each map that the mask losses look at, most of them where the mask is uncertain
    # (PointRend §3.1; Mask2Former §3.3: 12544); 0: every pixel, as in the paper
    node.LOSS.MASK_POINTS = 0
    # Matched tracks of a clip that masks are trained on in a step, drawn at random, their losses
    # scaled up to stay unbiased; saves the mask head's memory; 0: all, as in the paper
    node.LOSS.MAX_MASK_TRACKS = 0

    node.MATCHER = CfgNode()
    node.MATCHER.COST_CLASS = 1.0  # VisTR
    node.MATCHER.COST_L1 = 5.0  # VisTR
    node.MATCHER.COST_IOU = 2.0  # VisTR
    # Frames that a cost is the mean of: "visible", those that show the instance; "all" (VisTR's
    # code, where an absent frame has class index 0 and an empty box).
    node.MATCHER.FRAMES = "visible"


def _add_data(cfg: CfgNode) -> None:
    # Further datasets in YTVIS format, registered at start: [[name, annotation JSON, image root],
    # ...]. Relative paths start at $DETECTRON2_DATASETS if it is set, else at ./datasets.
    # Still images in COCO format, from each of which a clip is made, have two strings more:
    # "coco_pseudo" and the registered dataset whose categories they get, by name.
    cfg.DATASETS.CUSTOM = []
    # True: datasets may lack classes of the model or have more; what both have is matched by name.
    cfg.DATASETS.ALLOW_CLASS_SUBSET = False
    # Share of the clips that are made from still images, in [0, 1), where DATASETS.TRAIN names both
    # those (coco_pseudo_2017_train, ...) and videos. An epoch still visits every video clip once.
    cfg.DATASETS.PSEUDO_RATIO = 0.5

    cfg.INPUT.FORMAT = "RGB"
    cfg.INPUT.SAMPLING_FRAME_NUM = 16  # T in training (§4.2)
    # An epoch visits (§4.1) "video": each video once (scheme one); "frame": every frame of every
    # video as an anchor (scheme two, which the paper submitted; VisTR); "compromise": each video
    # once for every T frames it has.
    cfg.INPUT.SAMPLING_SCHEME = "frame"
    # "random": any frames, the anchor among them (§A.2); "consecutive": T that end at the anchor,
    # the video's last frame before its first (VisTR)
    cfg.INPUT.SAMPLING = "random"
    # Random frames are drawn at most this far from the anchor; 0: from the whole video (§A.2).
    cfg.INPUT.SAMPLING_FRAME_RANGE = 0
    # True: frames in random instead of temporal order (§4.1, A.2)
    cfg.INPUT.SAMPLING_FRAME_SHUFFLE = False
    # Any of "flip", "photometric", "crop", applied as in VisTR; "vertical_flip"; "paste", tracks of
    # another clip over half of the clips; "paste_same_class", over every clip a track of
    # a class that it has; () for none. Geometry is drawn once per clip.
    cfg.INPUT.AUGMENTATIONS = ["flip", "photometric", "crop"]
    cfg.INPUT.PHOTOMETRIC_PER = "frame"  # "frame" (VisTR) or "clip": how often colours are drawn
    # VisTR's crop: the short side is resized to one of CROP_RESIZE, then a window with sides from
    # CROP_RANGE is cut.
    cfg.INPUT.CROP_RESIZE = [400, 500, 600]
    cfg.INPUT.CROP_RANGE = [384, 600]
    cfg.INPUT.MIN_SIZE_TRAIN = (300,)  # short side after the crop (VisTR; §4.3)
    cfg.INPUT.MAX_SIZE_TRAIN = 540
    cfg.INPUT.MIN_SIZE_TEST = 300
    cfg.INPUT.MAX_SIZE_TEST = 540

    # How far the picture moves, smoothly, in a clip that is made from a still image
    cfg.INPUT.PSEUDO_MOTION = CfgNode()
    cfg.INPUT.PSEUDO_MOTION.TRANSLATE = 0.1  # either way, as a share of width and height
    cfg.INPUT.PSEUDO_MOTION.SCALE = 1.25  # greatest factor; the smallest is its inverse
    cfg.INPUT.PSEUDO_MOTION.ROTATE = 10.0  # degrees, either way
    cfg.INPUT.PSEUDO_MOTION.SHEAR = 5.0  # degrees, either way

    # In training JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where that is not smaller than
    # what they are resized to; pixels differ a little from those of a full decode. Testing and the
    # demo decode them whole.
    cfg.INPUT.JPEG_DRAFT = True

    cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = True  # leave out videos without any visible instance
    cfg.DATALOADER.GROUP_BY_SHAPE = True  # batches of clips of like size, so that little is padded


def _add_solver(cfg: CfgNode) -> None:
    cfg.SOLVER.OPTIMIZER = "ADABELIEF"  # or "ADAMW" (§4.2)
    cfg.SOLVER.BASE_LR = 1e-4  # §4.2
    # Learning-rate factor of the backbone (VisTR: 1e-5 / 1e-4)
    cfg.SOLVER.BACKBONE_MULTIPLIER = 0.1
    cfg.SOLVER.WEIGHT_DECAY = 1e-4  # §4.2
    cfg.SOLVER.WEIGHT_DECAY_NORM = 1e-4  # norms decay too (VisTR)
    cfg.SOLVER.ADABELIEF = CfgNode()
    cfg.SOLVER.ADABELIEF.EPS = 1e-16  # the package's own default
    cfg.SOLVER.ADABELIEF.DECOUPLE = True  # decoupled weight decay (§4.2)
    cfg.SOLVER.ADABELIEF.RECTIFY = True  # §4.2
    # The schedule in iterations (MAX_ITER > 0, with STEPS) or else in epochs of
    # INPUT.SAMPLING_SCHEME (MAX_EPOCHS, with STEP_EPOCHS).
    cfg.SOLVER.MAX_ITER = 0
    cfg.SOLVER.STEPS = ()
    cfg.SOLVER.MAX_EPOCHS = 0
    cfg.SOLVER.STEP_EPOCHS = ()
    # > 0 keeps an exponential moving average of the weights, which evaluation, the demo, a second
    # stage and conversion take from a checkpoint that has one
    cfg.SOLVER.EMA_DECAY = 0.0
    # True: a training ends with model_final.safetensors, too, one file for evaluation and the demo:
    # the weights (their average, if there is one) with config and class names inside
    cfg.SOLVER.FINAL_SAFETENSORS = False
    # Number format with SOLVER.AMP.ENABLED and TEST.AMP: "float16" (detectron2's; GPUs only, with a
    # loss scale) or "bfloat16" (GPUs and CPUs, fast on those that have it; no loss scale)
    cfg.SOLVER.AMP.DTYPE = "float16"
    # Clips of all processes together; train_net.py raises it to one clip for each process
    cfg.SOLVER.IMS_PER_BATCH = 1
    cfg.SOLVER.WARMUP_ITERS = 0
    cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "full_model"  # global norm over all parameters (VisTR)
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 0.1  # VisTR


def _add_test(cfg: CfgNode) -> None:
    # Frames that inference looks at together; 0: the whole video, whatever its length (§4.2: 64).
    # Of a longer video, windows overlap and are joined, in memory that does not grow with it.
    cfg.TEST.WINDOW = 64
    cfg.TEST.STRIDE = 0  # frames from one window to the next; 0: three quarters of a window
    cfg.TEST.LINK = CfgNode()
    # A slot of a window goes on with a track if their masks have this IoU in the frames that both
    # windows see, ...
    cfg.TEST.LINK.MIN_IOU = 0.1
    # ... and the mean of that IoU and of how alike they look (class agreement times the cosine of
    # the decoder's outputs) is at least this; ...
    cfg.TEST.LINK.MIN_AGREEMENT = 0.4
    # ... or, if masks say nothing (hidden in those frames, or missed by the window before), if they
    # look alike by at least this.
    cfg.TEST.LINK.MIN_LOOKS = 0.5
    cfg.TEST.LINK.MEMORY = 10  # windows that a track may miss and still be taken up again
    # What else is a track of its own if its score in the window is at least this; else it is
    # dropped.
    cfg.TEST.LINK.BIRTH_SCORE = 0.05
    # In a video of several windows AP ranks a track by its score times the share of the frames of
    # all windows that saw it, to this power; 0: by its score.
    cfg.TEST.LENGTH_POWER = 1.0
    # 0: one track per slot, with its best class (VisTR). N: the N best (slot, class) pairs of a
    # video.
    cfg.TEST.TRACKS_PER_VIDEO = 0
    # Tracks with a lower score, over the frames of the windows that saw them, are left out.
    cfg.TEST.SCORE_THRESHOLD = 0.0
    # Slots whose best class probability in a window is lower are left out of that window, and no
    # masks are computed for them: saves time, and may tear holes into tracks.
    cfg.TEST.SLOT_THRESHOLD = 0.0
    # True: the score is multiplied by the mean probability inside the mask
    cfg.TEST.MASK_SCORING = False
    # A track whose mask IoU with a better one is at least this is dropped as its duplicate; 1 keeps
    # all (VisTR: the matching is to make duplicates unlikely, which takes long training).
    cfg.TEST.DUPLICATE_IOU = 1.0
    # Of a mask in pieces the largest one is kept, and what is no further from it than this share of
    # the frame's shorter side, directly or by way of other pieces; 0 keeps all, as the paper does.
    cfg.TEST.PIECE_GAP = 0.0
    # APs, APm, APl: the greatest small and the greatest medium area, in pixels of the original
    # frames (YouTube-VIS: 128^2, 256^2).
    cfg.TEST.AREA_LIMITS = [128**2, 256**2]
    # True: dropout stays on in inference, as in VisTR's public code: AP moves with SEED (§4.2).
    cfg.TEST.DROPOUT = False
    # True: inference in SOLVER.AMP.DTYPE wherever it happens (--eval-only, during training, demo),
    # whatever SOLVER.AMP.ENABLED, which is about training alone
    cfg.TEST.AMP = False
    # True: the result files of an earlier evaluation are replaced (or: --overwrite).
    cfg.TEST.OVERWRITE = False
