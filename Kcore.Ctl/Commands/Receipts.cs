using Kcore.Contracts;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class Receipts
{
    public static void Write(TextWriter output, ChangeReceipt receipt) =>
        output.WriteLine(Printable.Of($"{receipt.Verb} {receipt.Kind} '{receipt.Name}' on node {receipt.Node}"));
}
