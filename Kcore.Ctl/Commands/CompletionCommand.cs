using System.CommandLine;

namespace Kcore.Ctl.Commands;

/// <summary>Prints the completion scripts the package installs, for shells elsewhere.</summary>
internal static class CompletionCommand
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        var shell = new Argument<string?>("SHELL") { Arity = ArgumentArity.ZeroOrOne, Description = "bash, zsh or fish" };
        var command = new Command("completion", "Print a shell completion script.") { shell };
        command.SetAction(parsed =>
        {
            string wanted = parsed.GetValue(shell) is "bash" or "zsh" or "fish"
                ? parsed.GetValue(shell)!
                : throw CommandFailure.Invalid("which shell? bash, zsh or fish", "kctl completion bash > /etc/bash_completion.d/kctl");
            using Stream script = typeof(CompletionCommand).Assembly.GetManifestResourceStream($"completion.{wanted}")!;
            using var reader = new StreamReader(script);
            open(parsed).Out.Write(reader.ReadToEnd());
            return (int)ExitCode.Done;
        });
        return command;
    }
}
