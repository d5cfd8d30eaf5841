"""The report: one self-contained HTML page of score cards. It reads results and computes none."""

from disentmetrics.report.images import report_images as report_images
from disentmetrics.report.page import report as report, save_report as save_report
