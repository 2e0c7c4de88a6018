namespace Kcore.Fuzz.Mutators;

/// <summary>Makes a hostile input out of valid ones.</summary>
internal interface IMutator
{
    /// <param name="input">Not changed.</param>
    /// <param name="other">Another valid input, to take pieces from.</param>
    byte[] Mutate(byte[] input, byte[] other, Chance chance);
}
