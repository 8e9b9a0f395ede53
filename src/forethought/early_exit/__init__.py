"""When to stop computing: exits and a decoder that really skips; calibrated, reinforced, certified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Adapters": "adapters",
        "AnswerTable": "evaluation",
        "Answers": "passage",
        "Blocks": "blocks",
        "CachePolicy": "base",
        "Calibration": "exit_run",
        "CalibrationConfig": "calibration",
        "Certification": "exit_run",
        "Confidence": "base",
        "DecayingThreshold": "rules",
        "Detail": "evaluation",
        "Drafting": "speculation",
        "Evaluation": "evaluation",
        "ExitAnswer": "base",
        "ExitConfig": "model",
        "ExitDecoder": "decoder",
        "ExitHeads": "heads",
        "ExitModel": "model",
        "ExitResponder": "responder",
        "ExitRule": "base",
        "ExitRun": "exit_run",
        "FreeRun": "free_running",
        "GateConfidence": "confidences",
        "GateFitConfig": "gates",
        "LeaveEmpty": "cache_policies",
        "Look": "base",
        "Meter": "meter",
        "MonotoneSchedule": "rules",
        "Never": "rules",
        "Oracle": "oracle",
        "Parts": "parts",
        "Prescribed": "rules",
        "Propagate": "cache_policies",
        "Recompute": "recompute",
        "Reinforcement": "exit_run",
        "ReinforcementConfig": "reinforcement",
        "RiskBound": "certification",
        "RuleEvaluation": "evaluation",
        "RuleSummary": "evaluation",
        "Sampled": "rules",
        "SavedExits": "saved",
        "SoftmaxGap": "confidences",
        "Source": "parts",
        "SpeculationMeter": "speculation",
        "SpeculativeDecoder": "speculation",
        "StateSaturation": "confidences",
        "StaticCut": "rules",
        "Task": "task",
        "TeacherForced": "teacher_forcing",
        "Threshold": "rules",
        "ThresholdCertificate": "certification",
        "TimedRule": "timing",
        "Timing": "timing",
        "Trace": "traces",
        "answer_cost": "free_running",
        "calibrate": "calibration",
        "certify_threshold": "certification",
        "check_free": "exit_run",
        "evaluate": "evaluation",
        "every": "model",
        "exit_log_probabilities": "stick_breaking",
        "exit_probabilities": "stick_breaking",
        "first_agreeing": "oracle",
        "fit_gates": "gates",
        "fit_maps": "maps",
        "free_run": "free_running",
        "gate_targets": "stick_breaking",
        "headroom_share": "oracle",
        "local_responder": "responder",
        "look": "gates",
        "record_traces": "traces",
        "reinforce": "reinforcement",
        "sharpen": "gates",
        "static_depth": "oracle",
        "teacher_force": "teacher_forcing",
        "time_rules": "timing",
        "unadapted": "free_running",
    },
)

if TYPE_CHECKING:
    from forethought.early_exit.adapters import Adapters as Adapters
    from forethought.early_exit.base import CachePolicy as CachePolicy
    from forethought.early_exit.base import Confidence as Confidence
    from forethought.early_exit.base import ExitAnswer as ExitAnswer
    from forethought.early_exit.base import ExitRule as ExitRule
    from forethought.early_exit.base import Look as Look
    from forethought.early_exit.blocks import Blocks as Blocks
    from forethought.early_exit.cache_policies import LeaveEmpty as LeaveEmpty
    from forethought.early_exit.cache_policies import Propagate as Propagate
    from forethought.early_exit.calibration import CalibrationConfig as CalibrationConfig
    from forethought.early_exit.calibration import calibrate as calibrate
    from forethought.early_exit.certification import RiskBound as RiskBound
    from forethought.early_exit.certification import ThresholdCertificate as ThresholdCertificate
    from forethought.early_exit.certification import certify_threshold as certify_threshold
    from forethought.early_exit.confidences import GateConfidence as GateConfidence
    from forethought.early_exit.confidences import SoftmaxGap as SoftmaxGap
    from forethought.early_exit.confidences import StateSaturation as StateSaturation
    from forethought.early_exit.decoder import ExitDecoder as ExitDecoder
    from forethought.early_exit.evaluation import AnswerTable as AnswerTable
    from forethought.early_exit.evaluation import Detail as Detail
    from forethought.early_exit.evaluation import Evaluation as Evaluation
    from forethought.early_exit.evaluation import RuleEvaluation as RuleEvaluation
    from forethought.early_exit.evaluation import RuleSummary as RuleSummary
    from forethought.early_exit.evaluation import evaluate as evaluate
    from forethought.early_exit.exit_run import Calibration as Calibration
    from forethought.early_exit.exit_run import Certification as Certification
    from forethought.early_exit.exit_run import ExitRun as ExitRun
    from forethought.early_exit.exit_run import Reinforcement as Reinforcement
    from forethought.early_exit.exit_run import check_free as check_free
    from forethought.early_exit.free_running import FreeRun as FreeRun
    from forethought.early_exit.free_running import answer_cost as answer_cost
    from forethought.early_exit.free_running import free_run as free_run
    from forethought.early_exit.free_running import unadapted as unadapted
    from forethought.early_exit.gates import GateFitConfig as GateFitConfig
    from forethought.early_exit.gates import fit_gates as fit_gates
    from forethought.early_exit.gates import look as look
    from forethought.early_exit.gates import sharpen as sharpen
    from forethought.early_exit.heads import ExitHeads as ExitHeads
    from forethought.early_exit.maps import fit_maps as fit_maps
    from forethought.early_exit.meter import Meter as Meter
    from forethought.early_exit.model import ExitConfig as ExitConfig
    from forethought.early_exit.model import ExitModel as ExitModel
    from forethought.early_exit.model import every as every
    from forethought.early_exit.oracle import Oracle as Oracle
    from forethought.early_exit.oracle import first_agreeing as first_agreeing
    from forethought.early_exit.oracle import headroom_share as headroom_share
    from forethought.early_exit.oracle import static_depth as static_depth
    from forethought.early_exit.parts import Parts as Parts
    from forethought.early_exit.parts import Source as Source
    from forethought.early_exit.passage import Answers as Answers
    from forethought.early_exit.recompute import Recompute as Recompute
    from forethought.early_exit.reinforcement import ReinforcementConfig as ReinforcementConfig
    from forethought.early_exit.reinforcement import reinforce as reinforce
    from forethought.early_exit.responder import ExitResponder as ExitResponder
    from forethought.early_exit.responder import local_responder as local_responder
    from forethought.early_exit.rules import DecayingThreshold as DecayingThreshold
    from forethought.early_exit.rules import MonotoneSchedule as MonotoneSchedule
    from forethought.early_exit.rules import Never as Never
    from forethought.early_exit.rules import Prescribed as Prescribed
    from forethought.early_exit.rules import Sampled as Sampled
    from forethought.early_exit.rules import StaticCut as StaticCut
    from forethought.early_exit.rules import Threshold as Threshold
    from forethought.early_exit.saved import SavedExits as SavedExits
    from forethought.early_exit.speculation import Drafting as Drafting
    from forethought.early_exit.speculation import SpeculationMeter as SpeculationMeter
    from forethought.early_exit.speculation import SpeculativeDecoder as SpeculativeDecoder
    from forethought.early_exit.stick_breaking import exit_log_probabilities as exit_log_probabilities
    from forethought.early_exit.stick_breaking import exit_probabilities as exit_probabilities
    from forethought.early_exit.stick_breaking import gate_targets as gate_targets
    from forethought.early_exit.task import Task as Task
    from forethought.early_exit.teacher_forcing import TeacherForced as TeacherForced
    from forethought.early_exit.teacher_forcing import teacher_force as teacher_force
    from forethought.early_exit.timing import TimedRule as TimedRule
    from forethought.early_exit.timing import Timing as Timing
    from forethought.early_exit.timing import time_rules as time_rules
    from forethought.early_exit.traces import Trace as Trace
    from forethought.early_exit.traces import record_traces as record_traces
