package conformance

// notYet lists the cases that the library does not cover yet, and why. It is empty, and may grow only with new goldens.
var notYet = map[string]string{}

var activationRows = []libraryRow{
	{name: "act_relu", body: "relu(x)"},
	{name: "act_relu6", body: "relu6(x)"},
	{name: "act_leaky_relu", body: "leaky_relu(x)"},
	{name: "act_elu", body: "elu(x)"},
	{name: "act_elu_a05", body: "x |> elu(0.5)"},
	{name: "act_selu", body: "selu(x)"},
	{name: "act_gelu_exact", body: "gelu(x)"},
	{name: "act_gelu_tanh", body: "x |> gelu(approximate: true)"},
	{name: "act_sigmoid", body: "sigmoid(x)"},
	{name: "act_tanh", body: "tanh(x)"},
	{name: "act_softplus", body: "softplus(x)"},
	{name: "act_softsign", body: "softsign(x)"},
	{name: "act_swish", body: "swish(x)"},
	{name: "act_hard_sigmoid", body: "hard_sigmoid(x)"},
	{name: "act_hard_swish", body: "hard_swish(x)"},
	{name: "act_mish", body: "mish(x)"},
	{name: "act_celu", body: "celu(x)"},
	{name: "act_log_sigmoid", body: "log_sigmoid(x)"},
	{name: "act_hard_tanh", body: "hard_tanh(x)"},
	{name: "act_exponential", body: "exponential(x)"},
	{name: "act_softmax", body: "softmax(x)"},
	{name: "act_log_softmax", body: "log_softmax(x)"},
	{name: "act_prelu", body: "x |> ChannelPReLU()"},

	{name: "pt_act_leaky_relu", body: "x |> leaky_relu(0.01)"},
	{name: "pt_act_elu", body: "elu(x)"},
	{name: "pt_act_selu", body: "selu(x)"},
	{name: "pt_act_gelu", body: "gelu(x)"},
	{name: "pt_act_gelu_tanh", body: "x |> gelu(approximate: true)"},
	{name: "pt_act_silu", body: "silu(x)"},
	{
		name: "pt_act_hardsigmoid", body: "hard_sigmoid(x)",
		f64: tolerance{1e-7, 1e-7}, // its golden has the slope 1/6 in single precision
	},
	{name: "pt_act_hardswish", body: "hard_swish(x)"},
	{name: "pt_act_softplus_b2", body: "x |> softplus(beta: 2)"},
	{name: "pt_act_mish", body: "mish(x)"},
	{name: "pt_act_prelu", body: "x |> PReLU()", layout: "weight=alpha"},
}

var lossRows = []libraryRow{
	{name: "loss_mse", body: "mse(y_pred, y_true)"},
	{name: "loss_mae", body: "mae(y_pred, y_true)"},
	{name: "loss_mse_sum", body: "mse(y_pred, y_true)", reduce: "sum"},
	{name: "loss_mse_none", body: "mse(y_pred, y_true)", reduce: "none"},
	{name: "loss_mse_weighted", body: "mse(y_pred, y_true) * sample_weight"},
	{name: "loss_huber", body: "huber(y_pred, y_true)"},
	{name: "loss_huber_d05", body: "huber(y_pred, y_true, delta: 0.5)"},
	{
		name: "loss_logcosh", body: "log_cosh(y_pred, y_true)",
		f64: tolerance{1e-8, 1e-8}, // its golden has log(2) in single precision
	},
	{name: "loss_bce", body: "binary_crossentropy(y_pred, y_true)"},
	{name: "loss_bce_clip_edges", body: "binary_crossentropy(y_pred, y_true)"},
	{name: "loss_bce_logits", body: "binary_crossentropy(y_pred, y_true, from_logits: true)"},
	{name: "loss_bce_smooth", body: "binary_crossentropy(y_pred, y_true, label_smoothing: 0.1)"},
	{name: "loss_bce_focal", body: "binary_focal_crossentropy(y_pred, y_true, gamma: 2)"},
	{name: "loss_cce", body: "categorical_crossentropy(y_pred, y_true)"},
	{name: "loss_cce_logits_smooth", body: "categorical_crossentropy(y_pred, y_true, from_logits: true, label_smoothing: 0.1)"},
	{name: "loss_scce", body: "crossentropy(y_pred, y_true)"},
	{name: "loss_scce_logits", body: "crossentropy(y_pred, y_true, from_logits: true)"},
	{name: "loss_scce_logits_seq", body: "crossentropy(y_pred, y_true, from_logits: true)"},
	{name: "loss_kl_divergence", body: "kl_divergence(y_pred, y_true)"},
	{name: "loss_poisson", body: "poisson(y_pred, y_true)"},
	{name: "loss_hinge", body: "hinge(y_pred, y_true)"},
	{name: "loss_squared_hinge", body: "squared_hinge(y_pred, y_true)"},
	{name: "loss_categorical_hinge", body: "categorical_hinge(y_pred, y_true)"},
	{name: "loss_cosine_similarity", body: "cosine_similarity(y_pred, y_true)"},
	{name: "loss_mape", body: "mape(y_pred, y_true)"},
	{name: "loss_msle", body: "msle(y_pred, y_true)"},

	{name: "pt_loss_cross_entropy", body: "crossentropy(y_pred, target, from_logits: true)"},
	{
		name: "pt_loss_cross_entropy_smooth_ignore", training: true, body: `
    let counts = where(target == -100, 0.0, 1.0)
    let loss = crossentropy(y_pred, max(target, 0), from_logits: true, label_smoothing: 0.1) * counts
    if training { (sum[batch] loss) / (sum[batch] counts) } else { loss }`,
	},
	{
		name: "pt_loss_cross_entropy_weight", training: true, body: `
    let weight = where(target == 0, 0.5, where(target == 2, 2, where(target == 4, 0.1, 1))) // a list would be in single precision
    let loss = crossentropy(y_pred, target, from_logits: true) * weight
    if training { (sum[batch] loss) / (sum[batch] weight) } else { loss }`,
	},
	{name: "pt_loss_bce_with_logits", body: "binary_crossentropy(y_pred, y_true, from_logits: true)"},
	{name: "pt_loss_bce_with_logits_posweight", body: "binary_crossentropy(y_pred, y_true, from_logits: true, positive_weight: [1, 2, 0.5])"},
	{name: "pt_loss_bce", body: "binary_crossentropy(y_pred, y_true)"},
	{name: "pt_loss_smooth_l1", body: "smooth_l1(y_pred, y_true, beta: 0.5)"},
	{name: "pt_loss_huber", body: "huber(y_pred, y_true, delta: 1.5)"},
	{name: "pt_loss_kl_div_batchmean", body: "kl_divergence(softmax(y_pred), y_true)"},
	{name: "pt_loss_triplet_margin", body: "triplet_margin(anchor, positive, negative)"},
	{name: "pt_loss_gaussian_kld_vae", body: "gaussian_kl(mu, logvar)", reduce: "sum"},
}

var metricRows = []libraryRow{
	{name: "metric_binary_accuracy", body: "binary_accuracy(y_pred, y_true)"},
	{name: "metric_categorical_accuracy", body: "categorical_accuracy(y_pred, y_true)"},
	{name: "metric_sparse_categorical_accuracy", body: "accuracy(y_pred, y_true)"},
	{name: "metric_sparse_top3", body: "top_k_accuracy(y_pred, y_true, k: 3)"},
	{name: "metric_precision", body: "precision(y_pred, y_true)"},
	{name: "metric_recall", body: "recall(y_pred, y_true)"},
	{name: "metric_f1", body: "f1(y_pred, y_true)"},
	{name: "metric_auc_roc", body: "auc(y_pred, y_true)"},
	{name: "metric_auc_pr", body: "auc(y_pred, y_true, curve: \"PR\")"},
	{name: "metric_mse", body: "mse(y_pred, y_true)"},
	{name: "metric_mae", body: "mae(y_pred, y_true)"},
	{name: "metric_rmse", body: "rmse(y_pred, y_true)"},
	{name: "metric_r2", body: "r2(y_pred, y_true)"},
	{name: "metric_binary_accuracy_weighted", body: "weighted_mean(binary_accuracy(y_pred, y_true), weight)"},
}

// Slots are compared where the program has one of the same meaning.
var optimizerRows = []libraryRow{
	{name: "opt_sgd", body: "sgd(lr: 0.1)"},
	{name: "opt_sgd_momentum", body: "sgd(lr: 0.05, momentum: 0.9)", layout: "momentum=velocity"},
	{name: "opt_sgd_nesterov", body: "sgd(lr: 0.05, momentum: 0.9, nesterov: true)", layout: "momentum=velocity"},
	{name: "opt_sgd_weight_decay", body: "sgd(lr: 0.1, decay: 0.01)"},
	{name: "opt_rmsprop", body: "rmsprop(lr: 0.01)", layout: "velocity=velocity"},
	{
		name: "opt_rmsprop_centered_momentum", body: "rmsprop(lr: 0.01, momentum: 0.9, centered: true)",
		layout: "velocity=velocity momentum=drift average_gradient=average",
	},
	{name: "opt_adagrad", body: "adagrad(lr: 0.1)", layout: "accumulator=accumulator"},
	{name: "opt_adadelta", body: "adadelta(lr: 1)", layout: "accumulated_grad=gradients accumulated_delta_var=changes"},
	{name: "opt_adam", body: "adam(lr: 0.001)", layout: "momentum=m velocity=v"},
	{name: "opt_adam_lr01_amsgrad", body: "adam(lr: 0.01, amsgrad: true)", layout: "momentum=m velocity=v velocity_hat=greatest"},
	{name: "opt_adam_betas", body: "adam(lr: 0.02, beta1: 0.5, beta2: 0.9, eps: 1e-4)", layout: "momentum=m velocity=v"},
	{name: "opt_adamw", body: "adamw(lr: 0.01, decay: 0.05)", layout: "momentum=m velocity=v"},
	{name: "opt_adamax", body: "adamax(lr: 0.01)", layout: "momentum=m norm=u"},
	{name: "opt_nadam", body: "nadam(lr: 0.01)", layout: "momentum=m velocity=v variable=product"},
	{name: "opt_lion", body: "lion(lr: 0.01)", layout: "momentum=m"},
	{name: "opt_lion_wd", body: "lion(lr: 0.01, decay: 0.1)", layout: "momentum=m"},
	{name: "opt_ftrl", body: "ftrl(lr: 0.05, l1: 0.01, l2: 0.01)", layout: "accumulator=accumulator linear=leader"},
	{name: "opt_sgd_clipvalue", body: "sgd(lr: 0.1)\n    clip: value(0.5)"},
	{name: "opt_sgd_clipnorm", body: "sgd(lr: 0.1)\n    clip: norm(1)"},
	{name: "opt_adam_global_clipnorm", body: "adam(lr: 0.01)\n    clip: global_norm(1)", layout: "momentum=m velocity=v"},
	{
		name: "sched_exponential",
		body: "sgd(lr: exponential_decay(step, initial_learning_rate: 0.1, decay_steps: 4, decay_rate: 0.5))",
	},
	{
		name: "sched_exponential_staircase",
		body: "sgd(lr: exponential_decay(step, initial_learning_rate: 0.1, decay_steps: 4, decay_rate: 0.5, staircase: true))",
	},
	{name: "sched_cosine", body: "sgd(lr: cosine_decay(step, initial_learning_rate: 0.1, decay_steps: 8, alpha: 0.1))"},
	{
		name: "sched_cosine_warmup",
		body: "sgd(lr: cosine_decay(step, initial_learning_rate: 0, decay_steps: 6, warmup_target: 0.1, warmup_steps: 3))",
	},
	{
		name: "sched_polynomial",
		body: "sgd(lr: polynomial_decay(step, initial_learning_rate: 0.1, decay_steps: 8, end_learning_rate: 0.01, power: 2))",
	},
	{name: "sched_piecewise", body: "sgd(lr: piecewise_constant(step, boundaries: [3, 6], values: [0.1, 0.05, 0.01]))"},
	{name: "sched_inverse_time", body: "sgd(lr: inverse_time_decay(step, initial_learning_rate: 0.1, decay_steps: 2, decay_rate: 0.5))"},
	{
		name: "sched_cosine_restarts",
		body: "sgd(lr: cosine_decay_restarts(step, initial_learning_rate: 0.1, first_decay_steps: 3, t_mul: 2, m_mul: 0.8))",
	},

	{name: "pt_opt_sgd_mom_dampening_wd", body: "sgd(lr: 0.1, momentum: 0.9, dampening: 0.1, l2: 0.01)"},
	{name: "pt_opt_sgd_nesterov", body: "sgd(lr: 0.1, momentum: 0.9, nesterov: true)"},
	{
		name: "pt_opt_rmsprop_centered",
		body: "rmsprop(lr: 0.01, rho: 0.99, momentum: 0.9, eps: 1e-8, centered: true, epsilon_outside: true)",
	},
	{
		name: "pt_opt_adagrad",
		body: "adagrad(lr: 0.1, initial_accumulator: 0, eps: 1e-10, lr_decay: 0.1, epsilon_outside: true)",
	},
	{name: "pt_opt_adadelta", body: "adadelta(lr: 1, rho: 0.9, eps: 1e-6)"},
	{name: "pt_opt_adam", body: "adam(lr: 0.01, eps: 1e-8, epsilon_corrected: true)"},
	{name: "pt_opt_adam_l2", body: "adam(lr: 0.01, eps: 1e-8, l2: 0.1, epsilon_corrected: true)"},
	{name: "pt_opt_adam_amsgrad", body: "adam(lr: 0.01, eps: 1e-8, amsgrad: true, epsilon_corrected: true)"},
	{name: "pt_opt_adamw", body: "adamw(lr: 0.01, decay: 0.1, eps: 1e-8, epsilon_corrected: true)"},
	{name: "pt_opt_adamax", body: "adamax(lr: 0.01, eps: 1e-8, epsilon_inside: true)"},
	{
		name: "pt_opt_nadam", body: "nadam(lr: 0.01, eps: 1e-8, momentum_decay: 0.004)",
		f64: tolerance{1e-8, 1e-8}, // its golden has the product of momenta in single precision
	},
	{name: "pt_opt_radam", body: "radam(lr: 0.01)"},
	{name: "pt_sched_cosine", body: "sgd(lr: cosine_annealing(step, initial_learning_rate: 0.1, period: 8, minimum: 0.01))"},
	{name: "pt_sched_exponential", body: "sgd(lr: exponential_decay(step, initial_learning_rate: 0.1, decay_steps: 1, decay_rate: 0.8))"},
	{
		name: "pt_sched_step",
		body: "sgd(lr: exponential_decay(step, initial_learning_rate: 0.1, decay_steps: 3, decay_rate: 0.5, staircase: true))",
	},
	{name: "pt_sched_linear_warmup", body: "sgd(lr: linear_warmup(step, learning_rate: 0.1, total_steps: 5, start_factor: 0.1))"},
	{name: "pt_opt_adam_clip_grad_norm", body: "adam(lr: 0.01, eps: 1e-8, epsilon_corrected: true)\n    clip: global_norm(1, 1e-6)"},

	// What the library has no word for, as a user would write it.
	{
		name: "pt_sched_onecycle", body: "cycled(lr: one_cycle(step, 0.2, 12), momentum: one_cycle_momentum(step, 12))", extra: `
optimizer cycled(lr: f32, momentum: f32)(w, g) {
    state drift = zeros
    drift <- momentum * drift + g
    w <- w - lr * drift
}`,
	},
	{
		name: "opt_adam_ema", body: "averaged_adam(lr: 0.01, keep: 0.9)", layout: "momentum=m velocity=v average=average", extra: `
optimizer averaged_adam(lr: f32, keep: f32)(w, g) {
    state m = zeros
    state v = zeros
    state average = zeros
    m <- 0.9 * m + 0.1 * g
    v <- 0.999 * v + 0.001 * g^2
    w <- w - lr * sqrt(1 - 0.999^updates) / (1 - 0.9^updates) * m / (sqrt(v) + 1e-7)
    average <- where(updates == 1, w, keep * average + (1 - keep) * w)
}`,
	},
	{
		name: "opt_adam_grad_accum3", body: "patient_adam(lr: 0.01, steps: 3)",
		layout: "momentum=m velocity=v gradient_accumulator=gathered", extra: `
optimizer patient_adam(lr: f32, steps: f32)(w, g) {
    state m = zeros
    state v = zeros
    state gathered = zeros
    let due = updates % steps == 0
    let t = max(floor(updates / steps), 1)
    let d = (gathered + g) / steps
    m <- where(due, 0.9 * m + 0.1 * d, m)
    v <- where(due, 0.999 * v + 0.001 * d^2, v)
    w <- where(due, w - lr * sqrt(1 - 0.999^t) / (1 - 0.9^t) * m / (sqrt(v) + 1e-7), w)
    gathered <- where(due, 0, gathered + g)
}`,
	},
}

var layerRows = []libraryRow{
	{name: "dense_linear", body: "x |> Dense(3)"},
	{name: "dense_relu", body: "x |> Dense(7, relu)"},
	{name: "dense_nobias_tanh", body: "x |> Dense(4, tanh, use_bias: false)"},
	{name: "dense_3d_softmax", body: "x |> Dense(4, softmax)"},
	{name: "conv1d_valid", body: "x |> Conv1D(4, 3)"},
	{name: "conv1d_same_stride2", body: `x |> Conv1D(4, 4, strides: 2, padding: "same")`},
	{name: "conv1d_causal_dil2", body: `x |> Conv1D(3, 3, relu, padding: "causal", dilation: 2)`},
	{name: "conv2d_valid", body: "x |> Conv2D(5, 3, relu)"},
	{name: "conv2d_same", body: `x |> Conv2D(6, 3, width: 5, padding: "same")`},
	{name: "conv2d_same_stride2", body: `x |> Conv2D(4, 3, strides: 2, padding: "same")`},
	{name: "conv2d_valid_stride23", body: "x |> Conv2D(3, 2, width: 4, strides: 2, stride_width: 3)"},
	{name: "conv2d_dilation2", body: `x |> Conv2D(3, 3, dilation: 2, padding: "same")`},
	{name: "conv2d_groups2", body: `x |> Conv2D(6, 3, groups: 2, padding: "same")`},
	{name: "conv2d_1x1_nobias", body: "x |> Conv2D(4, 1, use_bias: false)"},
	{name: "conv3d_valid", body: "x |> Conv3D(3, 2, stride_height: 2)"},
	{name: "depthwise_conv2d", body: "x |> DepthwiseConv2D(3, depth_multiplier: 2)"},
	{name: "depthwise_conv2d_same_s2", body: `x |> DepthwiseConv2D(3, strides: 2, padding: "same")`},
	{name: "separable_conv2d", body: `x |> SeparableConv2D(5, 3, padding: "same")`},
	{name: "conv2d_transpose_valid_s2", body: "x |> Conv2DTranspose(2, 3, strides: 2)"},
	{name: "conv2d_transpose_same_s2", body: `x |> Conv2DTranspose(4, 4, relu, strides: 2, padding: "same")`},
	{name: "conv2d_transpose_same_s1", body: `x |> Conv2DTranspose(3, 3, padding: "same")`},
	{name: "conv1d_transpose_s2", body: "x |> Conv1DTranspose(2, 3, strides: 2)"},
	{name: "maxpool2d", body: "x |> MaxPool2D()"},
	{name: "maxpool2d_same_k3s2", body: `x |> MaxPool2D(3, strides: 2, padding: "same")`},
	{name: "maxpool1d", body: "x |> MaxPool1D(3, strides: 2)"},
	{name: "avgpool2d", body: "x |> AvgPool2D()"},
	{name: "avgpool2d_same_k3s2", body: `x |> AvgPool2D(3, strides: 2, padding: "same")`},
	{name: "avgpool1d", body: "x |> AvgPool1D()"},
	{name: "globalavgpool2d", body: "x |> GlobalAvgPool2D()"},
	{name: "globalmaxpool2d", body: "x |> GlobalMaxPool2D(keepdims: true)"},
	{name: "globalavgpool1d", body: "x |> GlobalAvgPool1D()"},
	{name: "upsampling2d_nearest", body: "x |> UpSampling2D(2, width: 3)"},
	{
		name: "upsampling2d_bilinear", body: `x |> UpSampling2D(interpolation: "bilinear")`,
		f64: tolerance{2e-7, 2e-7}, // TensorFlow resizes in single precision
	},
	{name: "zeropadding2d", body: "x |> ZeroPadding2D(top: 1, bottom: 2, left: 0, right: 3)"},
	{name: "cropping2d", body: "x |> Cropping2D(top: 1, bottom: 2, left: 0, right: 3)"},
	{name: "batchnorm_train", body: "x |> BatchNorm()"},
	{name: "batchnorm_infer", body: "x |> BatchNorm()"},
	{name: "batchnorm2d_train", body: "x |> BatchNorm(momentum: 0.9, eps: 1e-5)"},
	{name: "batchnorm2d_nocenter_infer", body: "x |> BatchNorm(center: false)"},
	{name: "layernorm", body: "x |> LayerNorm()"},
	{name: "layernorm_axis12", body: "x |> LayerNorm(eps: 1e-6, whole: true)"},
	{name: "groupnorm", body: "x |> GroupNorm(3)"},
	{name: "rmsnorm", body: "x |> RMSNorm()"},
	{name: "unitnorm", body: "x |> UnitNorm()"},
	{name: "dropout_rate0_train", body: "x |> Dropout(0)"},
	{name: "dropout_half_infer", body: "x |> Dropout(0.5)"},
	{name: "embedding", body: "x |> Embedding(11, 4)"},
	{
		name: "timedistributed_dense", body: "x |> TimeDistributed(Dense(3))",
		layout: "dense_8/kernel=dense.kernel dense_8/bias=dense.bias",
	},
	{name: "merge_add", body: "x0 + x1"},
	{name: "merge_subtract", body: "x0 - x1"},
	{name: "merge_multiply", body: "x0 * x1"},
	{name: "merge_average", body: "(x0 + x1) / 2"},
	{name: "merge_maximum", body: "max(x0, x1)"},
	{name: "merge_minimum", body: "min(x0, x1)"},
	{name: "merge_concat_last", body: "concat(x0, x1)"},
	{name: "merge_concat_axis1", body: "append(x0, x1)"},
	{name: "merge_dot", body: "x0 @ x1"},
	{name: "flatten", body: "x |> Flatten()"},
	{name: "reshape", body: "x |> Reshape([2, 6])"},
	{name: "permute", body: "transpose(x)"},
	{name: "repeatvector", body: "x |> RepeatVector(4)"},
	{
		name: "block_residual_add", body: `
    let c1 = Conv2D(4, 3, relu, padding: "same")
    let c2 = Conv2D(4, 3, padding: "same")
    relu(x + c2(c1(x)))`,
	},

	{name: "pt_linear", body: "x |> Dense(3)", layout: "weight=kernel:10"},
	{name: "pt_conv2d", body: "x |> ZeroPadding2D() |> Conv2D(4, 3, strides: 2)", layout: "x:0231 y:0231 weight=kernel:2310"},
	{
		name: "pt_conv2d_groups_dil", body: "x |> ZeroPadding2D(2) |> Conv2D(6, 3, groups: 2, dilation: 2)",
		layout: "x:0231 y:0231 weight=kernel:2310",
	},
	{name: "pt_conv2d_depthwise", body: "x |> Conv2D(8, 3, groups: 4, use_bias: false)", layout: "x:0231 y:0231 weight=kernel:2310"},
	{name: "pt_conv1d", body: "x |> ZeroPadding1D() |> Conv1D(5, 4, strides: 2)", layout: "x:021 y:021 weight=kernel:210"},
	{
		name: "pt_convtranspose2d", body: "x |> Conv2DTranspose(3, 3, strides: 2) |> Cropping2D(top: 1, left: 1)",
		layout: "x:0231 y:0231 weight=kernel:2310",
	},
	{
		name: "pt_convtranspose2d_groups", body: "x |> Conv2DTranspose(6, 4, strides: 2, groups: 2) |> Cropping2D(1)",
		layout: "x:0231 y:0231 weight=kernel:2310",
	},
	{
		name: "pt_batchnorm2d_train", body: "x |> BatchNorm(momentum: 0.9, eps: 1e-5, unbiased: true)",
		layout: "x:0231 y:0231 weight=gamma bias=beta running_mean=moving_mean running_var=moving_variance",
	},
	{
		name: "pt_batchnorm2d_eval", body: "x |> BatchNorm(eps: 1e-5)",
		layout: "x:0231 y:0231 weight=gamma bias=beta running_mean=moving_mean running_var=moving_variance",
	},
	{
		name: "pt_batchnorm1d_train", body: "x |> BatchNorm(momentum: 0.8, eps: 1e-5, unbiased: true)",
		layout: "weight=gamma bias=beta running_mean=moving_mean running_var=moving_variance",
	},
	{name: "pt_layernorm", body: "x |> LayerNorm(1e-5)", layout: "weight=gamma bias=beta"},
	{name: "pt_groupnorm", body: "x |> GroupNorm(3, eps: 1e-5)", layout: "x:0231 y:0231 weight=gamma bias=beta"},
	{name: "pt_instancenorm", body: "x |> InstanceNorm(affine: true)", layout: "x:0231 y:0231 weight=gamma bias=beta"},
	{name: "pt_rmsnorm", body: "x |> RMSNorm(1e-6)", layout: "weight=scale"},
	{name: "pt_embedding_padidx", body: "x |> Embedding(9, 4, padding_index: 0)", layout: "weight=embeddings"},
	{name: "pt_maxpool_ceil", body: "max_windows(x, 5, 5, 3, 3, 2, 2, top: 1, left: 1)", layout: "x:0231 y:0231"},
	{name: "pt_avgpool_nopad_count", body: "mean_windows(x, 4, 4, 3, 3, 2, 2, top: 1, left: 1)", layout: "x:0231 y:0231"},
	{name: "pt_avgpool_pad_count", body: "x |> ZeroPadding2D() |> AvgPool2D(3, strides: 2)", layout: "x:0231 y:0231"},
	{name: "pt_adaptive_avgpool", body: "x |> AdaptiveAvgPool2D(3, 4)", layout: "x:0231 y:0231"},
	{name: "pt_upsample_bilinear", body: `x |> UpSampling2D(2, "bilinear", align_corners: true)`, layout: "x:0231 y:0231"},
	{name: "pt_pixelshuffle", body: "x |> PixelShuffle(2)", layout: "x:0231 y:0231"},
}

// packedAttention is PyTorch's layer, whose parameters for queries, keys and values are one matrix.
const packedAttention = `
layer PackedAttention(heads: int, causal: bool = false)(x: f32[t, d]) {
    param in_proj_weight: f32[3*d, d] = zeros
    param in_proj_bias: f32[3*d] = zeros
    let out_proj = Dense(d)
    let (q, k, v) = split(x @ transpose(in_proj_weight) + in_proj_bias, 3)
    let weights = attention_weights(
        reshape(q, [t, heads, d / heads]), reshape(k, [t, heads, d / heads]), 1 / sqrt(d / heads), causal
    )
    (y: out_proj(reshape(attend(weights, reshape(v, [t, heads, d / heads])), [t, d])), weights: weights)
}`

var attentionRows = []libraryRow{
	{
		name: "mha_self_causal", body: "MultiHeadAttention(2, 4, causal: true)(query, value)",
		layout: "query/kernel=query.kernel query/bias=query.bias",
	},
	{name: "mha_cross", body: "MultiHeadAttention(3, 4, value_dim: 5)(query, value)"},
	{name: "gqa_causal", body: "GroupQueryAttention(4, 4, 2, causal: true)(query, value)"},
	{name: "attention_dot", body: "Attention()(query, value)"},
	{
		name: "pt_mha_causal", extra: packedAttention, body: `
    let a = PackedAttention(2, causal: true)
    a(x)`,
		layout: "out_proj.weight=out_proj.kernel:10",
	},
	{
		name: "pt_transformer_encoder_layer", extra: packedAttention, body: `
    let self_attn = PackedAttention(2)
    let norm1 = LayerNorm(1e-5)
    let norm2 = LayerNorm(1e-5)
    let linear1 = Dense(16, gelu)
    let linear2 = Dense(8)
    let a = self_attn(norm1(x))
    let b = x + a.y
    b + linear2(linear1(norm2(b)))`,
		layout: "self_attn.out_proj.weight=out_proj.kernel:10 linear1.weight=linear1.kernel:10 linear2.weight=linear2.kernel:10 " +
			"norm1.weight=norm1.gamma norm1.bias=norm1.beta norm2.weight=norm2.gamma norm2.bias=norm2.beta",
	},
}
