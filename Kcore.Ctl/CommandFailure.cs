using System.Collections.Immutable;
using Kcore.Contracts;

namespace Kcore.Ctl;

/// <summary>A command ends here: what the user is told, and the exit code.</summary>
internal sealed class CommandFailure(Problem problem, ExitCode exitCode) : Exception(problem.Message)
{
    public CommandFailure(Problem problem)
        : this(problem, ExitCodes.Of(problem.Code))
    {
    }

    public Problem Problem { get; } = problem;

    public ExitCode ExitCode { get; } = exitCode;

    public static CommandFailure Invalid(string message, string? next = null) =>
        new(new Problem(ErrorCode.InvalidArgument, message, [], next));

    /// <summary>The daemon said something this program cannot read: a bug on one of the two sides.</summary>
    public static CommandFailure BadReply(string message, params ImmutableArray<string> details) =>
        new(new Problem(ErrorCode.Internal, message, details, "compare `kctl --version` with the installed kcored; see journalctl -u kcored"));

    /// <summary>The daemon was killed or restarted under the request: what became of it is unknown, repeating it is safe.</summary>
    public static CommandFailure WentAway() =>
        new(
            new Problem(
                ErrorCode.Unavailable,
                "kcored went away before it had answered: whether the change stands is not known",
                [],
                "repeat the command: what was done already is found and not done twice"),
            ExitCode.NotReachable);
}
