# Read by every bash below a worker (BASH_ENV; where there was one before, it is read first).
# FINN ends these two scripts with a `cd`, so that they succeed whatever Vivado does; its other scripts stop at errors.
if [ -n "${FINNYAML_BASH_ENV:-}" ]; then . "$FINNYAML_BASH_ENV"; fi
case "$0" in
*/make_project.sh | */synth_project.sh) set -e ;;
esac
