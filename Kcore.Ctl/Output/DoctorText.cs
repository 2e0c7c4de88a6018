using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class DoctorText
{
    public static void Write(TextWriter output, DoctorReport report)
    {
        ImmutableArray<DoctorCheck> checks = [.. report.Checks.OrEmpty().Where(c => c is not null)];
        int width = checks.Select(c => (c.Name ?? "").Length).DefaultIfEmpty(0).Max();
        foreach (DoctorCheck check in checks)
        {
            output.WriteLine(Printable.Of($"{(check.Name ?? "").PadRight(width)}  {check.Result}"));
            foreach (string finding in check.Findings.OrEmpty())
            {
                output.WriteLine(Printable.Of($"  {finding}"));
            }

            if (check.Next is { } next)
            {
                output.WriteLine(Printable.Of($"  -> {next}"));
            }
        }
    }
}
